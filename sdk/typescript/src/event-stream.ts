// Events for a loop: `for await (const event of client.events()) …`.
//
//   feed ──add──▶ [ event, event, … dropped 7 ] ──next──▶ the loop        at most `bufferMax` wait
//
// 1. A loop that is slower than the events loses the newest, not the order: in their place stands one `dropped` with
//    their number, and what comes after it is again what happened.
// 2. Leaving the loop (`return`) closes the connection. A connection that is lost is made again meanwhile.
// 3. What the server refuses at the start ends the loop with that error.

import { Deferred } from './deferred.ts'
import type { FeedEvent } from './event.ts'

export class EventStream implements AsyncIterableIterator<FeedEvent> {
  readonly #bufferMax: number
  readonly #close: () => Promise<void>
  readonly #opened = new Deferred<void>()
  #buffer: FeedEvent[] = []
  #readers: Deferred<IteratorResult<FeedEvent>>[] = []
  #fault: unknown = null
  #ended = false

  constructor(bufferMax: number, close: () => Promise<void>) {
    this.#bufferMax = bufferMax
    this.#close = close
    // Whoever does not ask is told by `next`.
    this.#opened.promise.catch(() => {})
  }

  /** Resolves when the server has confirmed: what happens from then on is given. */
  get opened(): Promise<void> {
    return this.#opened.promise
  }

  /** For the client: the outcome of its feed's start. */
  follow(start: Promise<void>): void {
    start.then(
      () => this.#opened.resolve(),
      (fault: unknown) => {
        this.#opened.reject(fault)
        this.end(fault)
      },
    )
  }

  /** For the client: an event has come. */
  add(event: FeedEvent): void {
    if (this.#ended) return
    const reader = this.#readers.shift()
    if (reader !== undefined) {
      reader.resolve({ done: false, value: event })
      return
    }
    const last = this.#buffer.at(-1)
    if (this.#buffer.length < this.#bufferMax) {
      this.#buffer.push(event)
    } else if (last?.event === 'dropped') {
      last.count += event.event === 'dropped' ? event.count : 1
    } else {
      // In the last one's place, so that the buffer does not grow.
      this.#buffer[this.#buffer.length - 1] = { event: 'dropped', count: 2 }
    }
  }

  /** For the client: no more will come. What waits is still given, then the fault, if any. */
  end(fault: unknown = null): void {
    if (this.#ended) return
    this.#ended = true
    this.#fault = fault
    const readers = this.#readers
    this.#readers = []
    for (const reader of readers) this.#tellEnd(reader)
  }

  async next(): Promise<IteratorResult<FeedEvent>> {
    const event = this.#buffer.shift()
    if (event !== undefined) return { done: false, value: event }
    const reader = new Deferred<IteratorResult<FeedEvent>>()
    if (this.#ended) this.#tellEnd(reader)
    else this.#readers.push(reader)
    return reader.promise
  }

  async return(): Promise<IteratorResult<FeedEvent>> {
    this.#buffer = []
    this.end()
    await this.#close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #tellEnd(reader: Deferred<IteratorResult<FeedEvent>>): void {
    const fault = this.#fault
    this.#fault = null
    if (fault === null) reader.resolve({ done: true, value: undefined })
    else reader.reject(fault)
  }
}
