// A worker's way to its checkpoints: a thread that is there while there is something to do.
//
//   checkpoint ──▶ waiting ──one at a time──▶ thread ──▶ made, 'fenced', or a fault
//
// 1. The thread begins with the first order, and ends when there was none for `IDLE_MS`: what a rebuilt state took in
//    memory is given back with it.
// 2. When it dies, the order under way fails with a retryable fault, and the next one gets a new thread. Running out
//    of memory is one way to die; it does not touch the serving loop.
// 3. After `stop` nothing is under way, and what was is rolled back.

import { Worker } from 'node:worker_threads'
import { type CheckpointMade, StorageFault } from '../../../engine/storage-port.ts'
import { type Delay, timerDelay } from '../../delay.ts'
import type { CheckpointSettings } from './checkpoint-maker.ts'
import type { CheckpointAnswer, CheckpointOrder, FaultFields } from './checkpoint-messages.ts'
import type { Fence } from './fence.ts'

/** What of a thread is needed here. */
export interface Thread {
  postMessage(order: CheckpointOrder): void
  on(event: 'message', listener: (answer: CheckpointAnswer) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'exit', listener: () => void): unknown
  terminate(): Promise<unknown>
}

const IDLE_MS = 10_000
/** For the thread to roll back and close its session; then it is ended. */
const STOP_MS = 1000
/** Payloads are outside of the heap: this is for keys, errors, queues, and garbage. */
const HEAP_MB_MAX = 4096

interface Order {
  readonly fence: Fence
  readonly covered: number
  resolve(made: CheckpointMade | 'fenced'): void
  reject(fault: StorageFault): void
}

export class CheckpointWorker {
  private readonly begin: () => Thread
  private readonly delay: Delay
  private thread: Thread | null = null
  private running: Order | null = null
  private readonly waiting: Order[] = []
  private cancelIdle: () => void = () => undefined
  private stopped = false

  constructor(
    settings: CheckpointSettings,
    begin: (settings: CheckpointSettings) => Thread = beginThread,
    delay: Delay = timerDelay,
  ) {
    this.begin = () => begin(settings)
    this.delay = delay
  }

  checkpoint(fence: Fence, covered: number): Promise<CheckpointMade | 'fenced'> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ fence, covered, resolve, reject })
      this.next()
    })
  }

  async stop(): Promise<void> {
    this.stopped = true
    this.next()
    const { thread } = this
    if (thread !== null) await this.end(thread)
  }

  private next(): void {
    if (this.stopped) {
      for (const order of this.waiting.splice(0)) order.reject(stoppedFault())
      return
    }
    if (this.running !== null) return
    this.cancelIdle()
    const order = this.waiting.shift()
    if (order === undefined) {
      this.cancelIdle = this.delay(IDLE_MS, () => this.retire())
      return
    }
    this.running = order
    this.thread ??= this.started()
    this.thread.postMessage({ fence: order.fence, covered: order.covered })
  }

  private started(): Thread {
    const thread = this.begin()
    let cause: unknown
    thread.on('message', (answer) => {
      const order = this.running
      if (this.thread !== thread || order === null) return
      this.running = null
      if ('made' in answer) order.resolve(answer.made)
      else order.reject(faultOfFields(answer.fault))
      this.next()
    })
    thread.on('error', (error) => {
      cause = error
    })
    thread.on('exit', () => {
      if (this.thread !== thread) return
      this.thread = null
      const order = this.running
      this.running = null
      order?.reject(this.stopped ? stoppedFault() : diedFault(cause))
      this.next()
    })
    return thread
  }

  /** Nothing is under way: the thread closes its session and ends by itself. */
  private retire(): void {
    this.thread?.postMessage(null)
    this.thread = null
  }

  private async end(thread: Thread): Promise<void> {
    const exited = new Promise<void>((resolve) => {
      thread.on('exit', () => resolve())
    })
    const cancel = this.delay(STOP_MS, () => void thread.terminate())
    this.cancelIdle()
    thread.postMessage(null)
    await exited
    cancel()
  }
}

function beginThread(settings: CheckpointSettings): Thread {
  return new Worker(new URL('./checkpoint-thread.js', import.meta.url), {
    workerData: settings,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
  })
}

function faultOfFields({ code, text, retryable }: FaultFields): StorageFault {
  return new StorageFault(code, text, retryable)
}

function diedFault(cause: unknown): StorageFault {
  return new StorageFault('checkpoint_thread', 'the checkpoint thread has died', true, cause)
}

function stoppedFault(): StorageFault {
  return new StorageFault('stopped', 'checkpoints have been stopped', false)
}
