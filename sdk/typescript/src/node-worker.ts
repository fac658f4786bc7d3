// The worker of Node, Bun and Deno.

import { hostname } from 'node:os'
import { FlashQ } from './node-flashq.ts'
import { JobWorker, type Processor } from './worker.ts'
import type { WorkerOptions } from './worker-options.ts'

export class Worker<T = unknown, R = unknown> extends JobWorker<T, R> {
  constructor(
    queues: string | readonly string[],
    processor: Processor<T, R>,
    options: WorkerOptions = {},
  ) {
    const named = { ...options, hostname: options.hostname ?? ownHostname() }
    super(queues, processor, named, new FlashQ(options))
  }
}

/** Deno gives it away with a permission only. */
function ownHostname(): string | undefined {
  try {
    return hostname() || undefined
  } catch {
    return undefined
  }
}
