// One frame to be sent and answered, whoever made it: a single command, a batch of calls, a pull.
//
//              ┌────────── the connection ended before the write ──────────┐
//   new ──▶ queued ──▶ outgoing ──▶ written ──▶ settled                    │
//              ▲           └───────────┼──────────────────────────────────▶┘
//              │                       ├──▶ queued   the connection ended, and it may be sent twice
//              └──── parked ◀──────────┘    the server said that it did not run it, for now
//
// 1. A request settles exactly once: accepted or rejected. A reply that comes after it was given up goes to `late`.
// 2. Before `written` nothing can have been executed.
// 3. A written request that is given up (time over, aborted) keeps its reqId until its reply comes.
//
// Neighbours: `session.ts` writes them, `connection.ts` moves them between states, `deadline-list.ts` links them.

import type { Command } from './command.ts'
import { Deferred } from './deferred.ts'
import type { Reply } from './reply.ts'

export type RequestState = 'new' | 'queued' | 'outgoing' | 'written' | 'parked' | 'settled'

export abstract class Request {
  abstract readonly name: string
  /** How many calls of the user wait for it. */
  abstract readonly calls: number
  /** May be sent again when its reply was lost. */
  abstract readonly resendable: boolean
  /** Ends with `timeout` at its deadline. Pulls wait at the server instead. */
  readonly timed: boolean = true
  /** May still be sent while the connection closes. */
  readonly closesUp: boolean = false
  /** May be cut off under way: whatever the server did for it comes right by itself. */
  readonly disposable: boolean = true

  state: RequestState = 'new'
  /** By `performance.now()`; 0 until the connection has taken it. */
  deadlineMs = 0
  /** Valid once written. */
  frameBytes = 0
  /** How often the server has put it off. */
  delays = 0
  /** Why it was put off last. */
  refusal: Error | null = null

  /** Links of the deadline list. */
  earlier: Request | null = null
  later: Request | null = null

  /** The fields after `cmd` and `reqId`: empty, or beginning with a comma. First comes what it is about: queue, id or name. */
  abstract fieldsText(nowMs: number): string
  /** Throws when the reply is no answer to it. */
  abstract accept(reply: Reply): void
  abstract reject(reason: unknown): void

  /** A positive reply to a request that was given up. */
  late(_reply: Reply): void {}

  /** The same calls one by one, for when one of them spoilt the frame for all. */
  split(): Request[] {
    return []
  }
}

export class CommandRequest<T> extends Request {
  readonly name: string
  readonly calls = 1
  readonly resendable: boolean
  override readonly closesUp: boolean
  readonly #fields: string
  readonly #read: (reply: Reply) => T
  readonly #deferred = new Deferred<T>()

  constructor(command: Command, read: (reply: Reply) => T, closesUp = false) {
    super()
    this.name = command.name
    this.resendable = command.effect === 'read'
    this.closesUp = closesUp
    this.#fields = command.fields
    this.#read = read
  }

  get promise(): Promise<T> {
    return this.#deferred.promise
  }

  fieldsText(): string {
    return this.#fields
  }

  accept(reply: Reply): void {
    this.#deferred.resolve(this.#read(reply))
  }

  reject(reason: unknown): void {
    this.#deferred.reject(reason)
  }
}
