// The client by HTTP alone: no module of Node is needed, so it runs in a browser too.

import { FlashQClient } from '../flashq.ts'
import type { ClientOptions } from '../options.ts'
import { JobWorker, type Processor } from '../worker.ts'
import type { WorkerOptions } from '../worker-options.ts'
import { HTTP_DOOR } from './http-door.ts'

export class FlashQ extends FlashQClient {
  constructor(options: ClientOptions = {}) {
    super(options, HTTP_DOOR)
  }
}

export class Worker<T = unknown, R = unknown> extends JobWorker<T, R> {
  constructor(
    queues: string | readonly string[],
    processor: Processor<T, R>,
    options: WorkerOptions = {},
  ) {
    super(queues, processor, options, new FlashQ(options))
  }
}
