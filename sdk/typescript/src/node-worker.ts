// The worker of Node, Bun and Deno.

import { FlashQ } from './node-flashq.ts'
import { JobWorker, type Processor } from './worker.ts'
import type { WorkerOptions } from './worker-options.ts'

export class Worker<T = unknown, R = unknown> extends JobWorker<T, R> {
  constructor(
    queues: string | readonly string[],
    processor: Processor<T, R>,
    options: WorkerOptions = {},
  ) {
    super(queues, processor, options, new FlashQ(options))
  }
}
