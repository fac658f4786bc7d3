// The client's connection over all its sockets: requests wait here for one, and are settled honestly when it ends.
//
//          connect()                       lost                    timer
//   idle ─────────────▶ connecting ──▶ open ────▶ waiting ──────────────▶ connecting
//     ▲                     │            │           │                       │
//     └── the first one ────┘            │ close()   │ close()               │ close()
//         failed                         ▼           ▼                       ▼
//                                     closing ──────────────▶ closed ──connect()──▶ connecting
//
// 1. A request is executed at most once, except reads and pulls. What was not written waits for the next socket;
//    what was written and not answered is sent again if that is harmless, else it ends with `connection_lost`.
// 2. A server that says it did not run a request, for now, is asked again until the request's time is over.
// 3. After a line that is no reply, nothing is sent again: the server may have answered anything.
// 4. No timer or socket outlives `close()`.
//
// Neighbours: `session.ts` is one socket, `request-desk.ts` settles requests, `flashq.ts` and `line-feed.ts` use it.

import { Deferred } from './deferred.ts'
import { describeFault, FlashQError } from './errors.ts'
import type { Settings } from './options.ts'
import type { Reply } from './reply.ts'
import type { Request } from './request.ts'
import { type DeskOwner, RequestDesk } from './request-desk.ts'
import { changesState, closedError, lostError } from './request-fate.ts'
import { RequestQueue } from './request-queue.ts'
import { Session, type SessionEnd, type SessionOwner } from './session.ts'
import type { Transport, TransportHooks } from './transport.ts'

export interface ConnectionHooks extends TransportHooks {
  /** A line that is an event, on a connection that has subscribed. */
  event?(message: Reply): void
}

type State = 'idle' | 'connecting' | 'open' | 'waiting' | 'closing' | 'closed'

/** A socket is given up when requests timed out and no byte came for this many time limits more. */
const SILENT_TIMEOUTS_MAX = 2

export class Connection implements SessionOwner, DeskOwner, Transport {
  readonly #settings: Settings
  readonly #hooks: ConnectionHooks
  readonly #desk: RequestDesk
  readonly #queue = new RequestQueue()
  #token: string
  #state: State = 'idle'
  #session: Session | null = null
  #live = false
  #everOpen = false
  #openedAtMs = 0
  #attempt = 0
  #reconnectTimer: ReturnType<typeof setTimeout> | null = null
  #openWaiters: Deferred<void>[] = []
  #closed: Deferred<void> | null = null
  #graceTimer: ReturnType<typeof setTimeout> | null = null

  constructor(settings: Settings, hooks: ConnectionHooks) {
    this.#settings = settings
    this.#hooks = hooks
    this.#token = settings.token
    this.#desk = new RequestDesk(settings, this)
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get isClosing(): boolean {
    return this.#state === 'closing' || this.#state === 'closed'
  }

  get token(): string {
    return this.#token
  }

  set token(token: string) {
    this.#token = token
  }

  async connect(): Promise<void> {
    if (this.#closed !== null && this.#state === 'closing') await this.#closed.promise
    if (this.#state === 'open') return
    const waiter = new Deferred<void>()
    this.#openWaiters.push(waiter)
    if (this.#state === 'closed' || this.#state === 'idle') this.#open()
    return waiter.promise
  }

  /** Why a call made now could not be taken, or null. `openCalls` are calls that this connection does not know yet. */
  refusesCall(openCalls: number): FlashQError | null {
    if (this.#state === 'open') return null
    if (this.#state === 'closing' || this.#state === 'closed') {
      return new FlashQError('not_connected', 'Not connected')
    }
    if (this.#queue.calls + openCalls < this.#settings.offlineCallsMax) return null
    return new FlashQError('overloaded', 'Too many requests wait for a connection')
  }

  /** Takes a request that `refusesCall` did not refuse; connects if nobody has yet. */
  send(request: Request): void {
    if (this.#state === 'closed' || (this.#state === 'closing' && !request.closesUp)) {
      request.state = 'settled'
      request.reject(new FlashQError('not_connected', 'Not connected'))
      return
    }
    this.#desk.take(request)
    if (this.#state === 'idle') this.#open()
    this.dispatch(request)
  }

  /** Gives a request up with `reason`. If it is written, its reply will go to `late`. */
  abandon(request: Request, reason: unknown): void {
    if (request.state === 'settled') return
    this.#queue.remove(request)
    this.#desk.reject(request, reason)
  }

  /** Drops the socket and reconnects. */
  reset(fault: Error): void {
    this.#session?.destroy(fault)
  }

  /** Waits up to `graceMs` for what is written to be answered; pulls and what waits for a connection end at once. */
  close(graceMs: number): Promise<void> {
    if (this.#closed !== null) return this.#closed.promise
    const closed = new Deferred<void>()
    this.#closed = closed
    this.#state = 'closing'
    this.#clearTimers()
    this.#rejectWaiting(closedError(false))
    if (this.#session === null) {
      this.#finishClose()
    } else if (!this.#live) {
      this.#session.destroy(null)
    } else {
      for (const request of this.#session.unanswered()) {
        if (!request.timed) this.abandon(request, closedError(false))
      }
      this.#graceTimer = setTimeout(() => this.#session?.destroy(null), graceMs)
      this.#endIfAnswered()
    }
    return closed.promise
  }

  sessionOpened(): void {
    if (this.#state !== 'connecting') return
    this.#state = 'open'
    this.#live = true
    this.#everOpen = true
    this.#openedAtMs = performance.now()
    for (const request of this.#queue.takeAll()) this.#session?.send(request)
    this.#resolveOpenWaiters()
    this.#hooks.opened()
  }

  sessionReply(request: Request, reply: Reply): void {
    this.#attempt = 0
    this.#desk.answered(request, reply)
    this.#endIfAnswered()
  }

  sessionEvent(message: Reply): void {
    this.#hooks.event?.(message)
  }

  sessionEnded(end: SessionEnd): void {
    const { fault } = end
    const wasLive = this.#live
    const wished = this.#state === 'closing'
    let delayMs = 0
    this.#session = null
    this.#live = false
    this.#sortOut(end)
    if (wished) this.#finishClose()
    else if (this.#everOpen || this.#settings.retryConnect) delayMs = this.#awaitReconnect(fault)
    else this.#giveUpConnecting(fault)
    // Last, because a listener may do anything, `close()` included.
    if (wasLive) this.#hooks.lost(fault)
    if (fault !== null && !wished) this.#hooks.failed(fault)
    if (this.#state === 'waiting') this.#hooks.reconnecting(this.#attempt, delayMs)
  }

  dispatch(request: Request): void {
    if (this.#session !== null && this.#live) this.#session.send(request)
    else this.#queue.add(request)
  }

  expired(request: Request, wasWritten: boolean): void {
    this.#queue.remove(request)
    if (wasWritten) this.#noteSilence()
    this.#endIfAnswered()
  }

  failed(fault: Error): void {
    this.#hooks.failed(fault)
  }

  #open(): void {
    if (this.#state === 'closed') this.#everOpen = false
    this.#state = 'connecting'
    this.#closed = null
    this.#session = new Session({ ...this.#settings, token: this.#token }, this)
  }

  /** A peer that vanished without closing answers nothing; TCP alone would need many minutes to tell. */
  #noteSilence(): void {
    const session = this.#session
    if (session === null) return
    const nowMs = performance.now()
    if (session.silentSinceMs === 0) session.silentSinceMs = nowMs
    else if (nowMs - session.silentSinceMs >= SILENT_TIMEOUTS_MAX * this.#settings.timeoutMs) {
      session.destroy(new FlashQError('timeout', 'The server does not answer'))
    }
  }

  /** Every request of an ended session goes back into the queue, in front, or is settled. */
  #sortOut(end: SessionEnd): void {
    const closing = this.#state === 'closing'
    const waiting = this.#queue.takeAll()
    for (const request of end.unanswered) {
      if (request.state === 'settled') continue
      if (request.resendable && !end.garbled && !closing) this.#queue.add(request)
      else this.#desk.reject(request, lostError(end.fault, closing, changesState(request)))
    }
    for (const request of end.unwritten) if (request.state !== 'settled') this.#queue.add(request)
    for (const request of waiting) this.#queue.add(request)
  }

  #giveUpConnecting(fault: Error | null): void {
    this.#state = 'idle'
    this.#rejectWaiting(connectError(fault))
  }

  /** Returns the delay, in ms. */
  #awaitReconnect(fault: Error | null): number {
    if (fault instanceof FlashQError && fault.code === 'auth_invalid') this.#rejectQueued(fault)
    const livedMs = this.#openedAtMs === 0 ? 0 : performance.now() - this.#openedAtMs
    if (livedMs > this.#settings.reconnectDelayMsMax) this.#attempt = 0
    this.#openedAtMs = 0
    const delayMs = this.#desk.delayMs(this.#attempt)
    this.#attempt += 1
    this.#state = 'waiting'
    this.#reconnectTimer = setTimeout(() => {
      this.#reconnectTimer = null
      this.#open()
    }, delayMs)
    return delayMs
  }

  #resolveOpenWaiters(): void {
    const waiters = this.#openWaiters
    this.#openWaiters = []
    for (const waiter of waiters) waiter.resolve()
  }

  #rejectWaiting(error: FlashQError): void {
    const waiters = this.#openWaiters
    this.#openWaiters = []
    for (const waiter of waiters) waiter.reject(error)
    this.#rejectQueued(error)
    this.#desk.rejectPutOff(error)
  }

  #rejectQueued(error: FlashQError): void {
    for (const request of this.#queue.takeAll()) this.#desk.reject(request, error)
  }

  #endIfAnswered(): void {
    if (this.#state === 'closing' && this.#desk.open === 0) this.#session?.end()
  }

  #finishClose(): void {
    this.#rejectWaiting(closedError(false))
    this.#state = 'closed'
    this.#attempt = 0
    this.#openedAtMs = 0
    this.#clearTimers()
    this.#desk.stop()
    this.#closed?.resolve()
  }

  #clearTimers(): void {
    if (this.#reconnectTimer !== null) clearTimeout(this.#reconnectTimer)
    if (this.#graceTimer !== null) clearTimeout(this.#graceTimer)
    this.#reconnectTimer = null
    this.#graceTimer = null
  }
}

function connectError(fault: Error | null): FlashQError {
  if (fault instanceof FlashQError) return fault
  if (fault === null) {
    return new FlashQError('not_connected', 'The server closed the connection at once')
  }
  return new FlashQError('not_connected', describeFault(fault), { cause: fault })
}
