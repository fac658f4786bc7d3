// How requests reach the server: what `connection.ts` does over TCP, and `http/http-transport.ts` by fetch.
//
// 1. Every request that `send` takes is settled once: accepted, or rejected with a reason that is true.
// 2. Nothing is executed twice, except reads and pulls.
// 3. After `close()` no timer, socket or fetch is left.

import type { FlashQError } from './errors.ts'
import type { EventWish, FeedEvent } from './event.ts'
import type { Settings } from './options.ts'
import type { Request } from './request.ts'

export interface TransportHooks {
  opened(): void
  /** An open connection ended; null when that was wished. */
  lost(fault: Error | null): void
  reconnecting(attempt: number, delayMs: number): void
  failed(fault: Error): void
}

export interface Transport {
  readonly isOpen: boolean
  readonly isClosing: boolean
  /** Of the next connections. */
  token: string
  /** Rejects when the first connection fails, unless `retryConnect` is set. */
  connect(): Promise<void>
  /** Why a call made now could not be taken, or null. `openCalls` are calls that it does not know yet. */
  refusesCall(openCalls: number): FlashQError | null
  /** Takes a request that `refusesCall` did not refuse; connects if nobody has yet. */
  send(request: Request): void
  /** Gives a request up with `reason`. If it was sent, its reply goes to `late`. */
  abandon(request: Request, reason: unknown): void
  /** Waits up to `graceMs` for what was sent to be answered; pulls and what waits for a connection end at once. */
  close(graceMs: number): Promise<void>
}

export interface FeedHooks {
  event(event: FeedEvent): void
  failed(fault: Error): void
}

/** Events from the server, over a connection of their own, for as long as it runs. */
export interface EventFeed {
  /** Resolves when the server has confirmed it; rejects when it refuses, or the first connection fails. */
  start(): Promise<void>
  stop(): Promise<void>
}

/** One way to a server: by line protocol, or by HTTP. */
export interface Door {
  readonly isHttp: boolean
  transport(settings: Settings, hooks: TransportHooks): Transport
  feed(settings: Settings, wish: EventWish, hooks: FeedHooks): EventFeed
}
