// Gathers the pushes and acks of a tick into as few frames as order allows.
//
// 1. Open are pushes (a batch per queue), after them acks (a batch per shard, so that one owner gets the whole frame).
//    A push that finds open acks, or any other command, first sends what is open: on the wire everything keeps the
//    order of the calls, save pushes to different queues, and acks of different shards, among themselves.
// 2. A batch that is full is sent at once, and the next call opens another.
// 3. At the end of the tick nothing is open.

import { AckBatch } from './ack-batch.ts'
import type { BatchRequest } from './batch-request.ts'
import type { Job, PushOptions } from './job.ts'
import { PushBatch } from './push-batch.ts'
import { atTickEnd } from './tick.ts'

const SHARDS = 32

export class Batcher {
  readonly #send: (batch: BatchRequest) => void
  readonly #enabled: boolean
  readonly #pushes = new Map<string, PushBatch>()
  readonly #acks = new Map<number, AckBatch>()
  #lastPush: PushBatch | null = null
  #scheduled = false
  #openCalls = 0

  constructor(send: (batch: BatchRequest) => void, enabled: boolean) {
    this.#send = send
    this.#enabled = enabled
  }

  /** Calls that are not yet handed on. */
  get openCalls(): number {
    return this.#openCalls
  }

  push(
    queue: string,
    fields: string,
    data: unknown,
    options: PushOptions | undefined,
  ): Promise<Job> {
    if (this.#acks.size > 0) this.flush()
    let batch = this.#lastPush
    if (batch === null || batch.queue !== queue) batch = this.#pushes.get(queue) ?? null
    if (batch === null || !batch.hasRoomFor(fields.length)) batch = this.#newPushBatch(queue)
    this.#lastPush = batch
    const promise = batch.add(fields, data, options)
    this.#opened()
    return promise
  }

  ack(id: number, result: string, token: number | undefined): Promise<void> {
    const shard = id % SHARDS
    let batch = this.#acks.get(shard)
    if (batch === undefined || !batch.hasRoomFor(result.length)) {
      if (batch !== undefined) this.#handOn(batch)
      batch = new AckBatch()
      this.#acks.set(shard, batch)
    }
    const promise = batch.add(id, result, token)
    this.#opened()
    return promise
  }

  /** Sends what is open, pushes first. */
  flush(): void {
    if (this.#openCalls === 0) return
    const open: BatchRequest[] = [...this.#pushes.values(), ...this.#acks.values()]
    this.#pushes.clear()
    this.#acks.clear()
    this.#lastPush = null
    for (const batch of open) this.#handOn(batch)
  }

  #newPushBatch(queue: string): PushBatch {
    const full = this.#pushes.get(queue)
    if (full !== undefined) this.#handOn(full)
    const batch = new PushBatch(queue)
    this.#pushes.set(queue, batch)
    return batch
  }

  #handOn(batch: BatchRequest): void {
    this.#openCalls -= batch.calls
    this.#send(batch)
  }

  #opened(): void {
    this.#openCalls += 1
    if (!this.#enabled) {
      this.flush()
    } else if (!this.#scheduled) {
      this.#scheduled = true
      atTickEnd(() => {
        this.#scheduled = false
        this.flush()
      })
    }
  }
}
