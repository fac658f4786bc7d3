// The requests that wait: for a connection (`RequestQueue`), or for a server that put them off (`PutOffRequests`).

import type { Request } from './request.ts'

/** First in, first out; any request may leave early. */
export class RequestQueue {
  #requests = new Set<Request>()
  #calls = 0

  /** Calls of the user that wait in it. */
  get calls(): number {
    return this.#calls
  }

  add(request: Request): void {
    request.state = 'queued'
    this.#requests.add(request)
    this.#calls += request.calls
  }

  /** Does nothing when the request is not in the queue. */
  remove(request: Request): void {
    if (this.#requests.delete(request)) this.#calls -= request.calls
  }

  /** The first ones, at most so many. */
  take(count: number): Request[] {
    const taken: Request[] = []
    for (const request of this.#requests) {
      if (taken.length >= count) break
      this.remove(request)
      taken.push(request)
    }
    return taken
  }

  takeAll(): Request[] {
    return this.take(this.#requests.size)
  }
}

/** Holds requests back for a while, then hands all of them to `again`. */
export class PutOffRequests {
  readonly #again: (request: Request) => void
  #requests: Request[] = []
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(again: (request: Request) => void) {
    this.#again = again
  }

  /** The time counts from the first request that is held. */
  add(request: Request, delayMs: number): void {
    request.state = 'parked'
    this.#requests.push(request)
    this.#timer ??= setTimeout(() => {
      for (const parked of this.takeAll()) this.#again(parked)
    }, delayMs)
  }

  /** Those that have not been given up meanwhile. No timer is left. */
  takeAll(): Request[] {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const requests = this.#requests.filter((request) => request.state === 'parked')
    this.#requests = []
    return requests
  }
}
