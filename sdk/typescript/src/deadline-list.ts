// All deadlines of a connection behind one timer.
//
//   head ⇄ … ⇄ … ⇄ tail      by deadline, earliest first; the timer, if armed, is due no later than the head
//
// 1. All requests of a client have the same time limit, so a new one belongs at the tail: O(1) in and out. Only a
//    part of a split batch keeps an older deadline and walks back to its place.
// 2. The timer is not moved when a request settles. It fires, finds the head not yet due, and is armed again.

import type { Request } from './request.ts'

export class DeadlineList {
  readonly #expire: (request: Request) => void
  #head: Request | null = null
  #tail: Request | null = null
  #size = 0
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(expire: (request: Request) => void) {
    this.#expire = expire
  }

  get size(): number {
    return this.#size
  }

  /** `request.deadlineMs` must be set, and the request in no list. */
  add(request: Request): void {
    let before = this.#tail
    while (before !== null && before.deadlineMs > request.deadlineMs) before = before.earlier
    const after = before === null ? this.#head : before.later
    request.earlier = before
    request.later = after
    if (before === null) this.#head = request
    else before.later = request
    if (after === null) this.#tail = request
    else after.earlier = request
    this.#size += 1
    if (this.#timer === null) this.#arm(performance.now())
  }

  /** Does nothing when the request is not in the list. */
  remove(request: Request): void {
    const { earlier, later } = request
    if (earlier === null && this.#head !== request) return
    if (earlier === null) this.#head = later
    else earlier.later = later
    if (later === null) this.#tail = earlier
    else later.earlier = earlier
    request.earlier = null
    request.later = null
    this.#size -= 1
  }

  /** No timer is left; requests still in the list will not expire. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #arm(nowMs: number): void {
    if (this.#head === null) return
    const waitMs = Math.max(1, Math.ceil(this.#head.deadlineMs - nowMs))
    this.#timer = setTimeout(() => this.#fire(), waitMs)
  }

  #fire(): void {
    this.#timer = null
    const nowMs = performance.now()
    while (this.#head !== null && this.#head.deadlineMs <= nowMs) {
      const due = this.#head
      this.remove(due)
      this.#expire(due)
    }
    if (this.#timer === null) this.#arm(nowMs)
  }
}
