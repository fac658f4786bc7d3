// Requests by fetch: every one is an HTTP request of its own.
//
//          connect()                     no answer               timer
//   idle ─────────────▶ connecting ──▶ open ────▶ waiting ──────────────▶ connecting
//     ▲                     │            │           │
//     └── the first one ────┘            └─ close() ─┴──▶ closing ──▶ closed
//         failed
//
// 1. `open` means: the server answered last. While it does not, requests wait, and a look at `/health` decides.
// 2. What provably was not sent is sent again until its time is over; so are reads and pulls. Anything else that got no
//    answer ends with `connection_lost` and `maybeExecuted`.
// 3. At most `LANES_MAX` requests besides pulls are under way; the others wait in their order.
// 4. A pull asks again and again, each time for a moment, until its own wait is over: no proxy's time limit ends it. One
//    that is given up is cut off when its lease brings back what was on its way, else its answer is awaited and handed back.
//
// Neighbours: `../request-desk.ts` settles requests; `route.ts` knows the routes, `exchange.ts` one request; `../connection.ts` does the same over TCP.

import { Deferred } from '../deferred.ts'
import { FlashQError } from '../errors.ts'
import type { Settings } from '../options.ts'
import { PullRequest } from '../pull-request.ts'
import type { Reply } from '../reply.ts'
import type { Request } from '../request.ts'
import { type DeskOwner, RequestDesk } from '../request-desk.ts'
import { changesState, closedError, lostError } from '../request-fate.ts'
import { RequestQueue } from '../request-queue.ts'
import type { Transport, TransportHooks } from '../transport.ts'
import { askPull } from './ask-pull.ts'
import { describeFetchFault, exchange, provablyUnsent } from './exchange.ts'
import { httpCallOf } from './route.ts'
import { checkSite } from './site-check.ts'

type State = 'idle' | 'connecting' | 'open' | 'waiting' | 'closing' | 'closed'

const LANES_MAX = 64

export class HttpTransport implements DeskOwner, Transport {
  token: string
  readonly #settings: Settings
  readonly #hooks: TransportHooks
  readonly #desk: RequestDesk
  readonly #queue = new RequestQueue()
  readonly #pulls = new RequestQueue()
  readonly #underWay = new Map<Request, AbortController>()
  #state: State = 'idle'
  #lanes = 0
  #everOpen = false
  #attempt = 0
  #retryTimer: ReturnType<typeof setTimeout> | null = null
  #looking: AbortController | null = null
  #waiters: Deferred<void>[] = []
  #closed: Deferred<void> | null = null
  #graceTimer: ReturnType<typeof setTimeout> | null = null

  constructor(settings: Settings, hooks: TransportHooks) {
    this.#settings = settings
    this.#hooks = hooks
    this.token = settings.token
    this.#desk = new RequestDesk(settings, this)
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get isClosing(): boolean {
    return this.#state === 'closing' || this.#state === 'closed'
  }

  async connect(): Promise<void> {
    if (this.#state === 'closing') await this.#closed?.promise
    if (this.#state === 'open') return
    const waiter = new Deferred<void>()
    this.#waiters.push(waiter)
    if (this.#state === 'idle' || this.#state === 'closed') this.#open()
    return waiter.promise
  }

  refusesCall(openCalls: number): FlashQError | null {
    if (this.#state === 'open') return null
    if (this.isClosing) return notConnected()
    if (this.#waitingCalls + openCalls < this.#settings.offlineCallsMax) return null
    return new FlashQError('overloaded', 'Too many requests wait for a connection')
  }

  send(request: Request): void {
    if (this.#state === 'closed' || (this.#state === 'closing' && !request.closesUp)) {
      this.#desk.reject(request, notConnected())
      return
    }
    this.#desk.take(request)
    if (this.#state === 'idle') this.#open()
    this.dispatch(request)
  }

  abandon(request: Request, reason: unknown): void {
    if (request.state === 'settled') return
    this.#queueOf(request).remove(request)
    this.#desk.reject(request, reason)
    if (request.disposable) this.#underWay.get(request)?.abort()
  }

  close(graceMs: number): Promise<void> {
    if (this.#closed !== null) return this.#closed.promise
    const closed = new Deferred<void>()
    this.#closed = closed
    this.#state = 'closing'
    this.#looking?.abort()
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer)
    this.#rejectWaiting(closedError(false))
    for (const request of this.#underWay.keys()) {
      if (!request.timed) this.abandon(request, closedError(false))
    }
    this.#graceTimer = setTimeout(() => this.#cutOff(), graceMs)
    this.#endIfAnswered()
    return closed.promise
  }

  dispatch(request: Request): void {
    this.#queueOf(request).add(request)
    this.#pump()
  }

  expired(request: Request): void {
    this.#queueOf(request).remove(request)
    this.#underWay.get(request)?.abort()
  }

  failed(fault: Error): void {
    this.#hooks.failed(fault)
  }

  #open(): void {
    if (this.#state === 'closed') this.#everOpen = false
    this.#state = 'connecting'
    this.#closed = null
    void this.#look()
  }

  /** Whether the server answers, and takes the token. */
  async #look(): Promise<void> {
    const looking = new AbortController()
    this.#looking = looking
    const timer = setTimeout(() => looking.abort(), this.#settings.timeoutMs)
    let fault: unknown = null
    try {
      await checkSite({ ...this.#settings, token: this.token }, looking.signal)
    } catch (error) {
      fault = looking.signal.aborted ? new FlashQError('timeout', 'Connection timeout') : error
    }
    clearTimeout(timer)
    if (this.#looking === looking) this.#looking = null
    if (this.isClosing) return
    if (fault === null) this.#opened()
    else if (this.#everOpen || this.#settings.retryConnect) this.#lookLater(fault, false)
    else this.#giveUp(fault)
  }

  #opened(): void {
    this.#state = 'open'
    this.#everOpen = true
    this.#attempt = 0
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.resolve()
    this.#hooks.opened()
    this.#pump()
  }

  #giveUp(fault: unknown): void {
    this.#state = 'idle'
    const error = connectError(fault)
    this.#rejectWaiting(error)
    this.#hooks.failed(error)
  }

  #lookLater(fault: unknown, wasOpen: boolean): void {
    const error = connectError(fault)
    if (error.code === 'auth_invalid') this.#rejectQueued(error)
    const delayMs = this.#desk.delayMs(this.#attempt)
    this.#attempt += 1
    this.#state = 'waiting'
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null
      this.#state = 'connecting'
      void this.#look()
    }, delayMs)
    // Last, because a listener may do anything, `close()` included.
    if (wasOpen) this.#hooks.lost(error)
    this.#hooks.failed(error)
    if (this.#state === 'waiting') this.#hooks.reconnecting(this.#attempt, delayMs)
  }

  /** A request got no answer: the others wait until the server is found again. */
  #lost(fault: unknown): void {
    if (this.#state !== 'open') return
    this.#lookLater(fault, true)
  }

  #pump(): void {
    if (this.#state !== 'open' && this.#state !== 'closing') return
    for (const pull of this.#pulls.takeAll()) void this.#run(pull)
    for (const request of this.#queue.take(LANES_MAX - this.#lanes)) void this.#run(request)
  }

  get #waitingCalls(): number {
    return this.#queue.calls + this.#pulls.calls
  }

  #queueOf(request: Request): RequestQueue {
    return request.timed ? this.#queue : this.#pulls
  }

  async #run(request: Request): Promise<void> {
    const abort = new AbortController()
    this.#underWay.set(request, abort)
    request.state = 'written'
    if (request.timed) this.#lanes += 1
    try {
      this.#desk.answered(request, await this.#ask(request, abort.signal))
    } catch (fault) {
      this.#unanswered(request, fault)
    }
    this.#underWay.delete(request)
    if (request.timed) this.#lanes -= 1
    this.#endIfAnswered()
    this.#pump()
  }

  async #ask(request: Request, signal: AbortSignal): Promise<Reply> {
    const site = { ...this.#settings, token: this.token }
    if (request instanceof PullRequest) return askPull(site, request, signal)
    const fields = request.fieldsText(performance.now())
    if (request.name !== 'AUTH') return exchange(site, httpCallOf(request.name, fields), signal)
    const { token } = JSON.parse(`{${fields.slice(1)}}`) as { token: string }
    await checkSite({ ...site, token }, signal)
    return { ok: true }
  }

  #unanswered(request: Request, fault: unknown): void {
    if (request.state === 'settled') return
    if (fault instanceof FlashQError) {
      this.#desk.reject(request, fault)
      return
    }
    const unsent = provablyUnsent(fault)
    if (!this.isClosing && (unsent || request.resendable)) {
      this.#desk.putOff(request)
    } else {
      const error = new Error(describeFetchFault(fault), { cause: fault })
      this.#desk.reject(request, lostError(error, this.isClosing, !unsent && changesState(request)))
    }
    this.#lost(fault)
  }

  #rejectWaiting(error: FlashQError): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(error)
    this.#rejectQueued(error)
    this.#desk.rejectPutOff(error)
  }

  #rejectQueued(error: FlashQError): void {
    const waiting = [...this.#queue.takeAll(), ...this.#pulls.takeAll()]
    for (const request of waiting) this.#desk.reject(request, error)
  }

  #cutOff(): void {
    for (const [request, abort] of this.#underWay) {
      if (request.state !== 'settled')
        this.#desk.reject(request, closedError(changesState(request)))
      abort.abort()
    }
  }

  #endIfAnswered(): void {
    if (this.#state !== 'closing' || this.#underWay.size > 0 || this.#waitingCalls > 0) return
    this.#state = 'closed'
    this.#attempt = 0
    if (this.#graceTimer !== null) clearTimeout(this.#graceTimer)
    this.#graceTimer = null
    this.#desk.stop()
    this.#closed?.resolve()
  }
}

function notConnected(): FlashQError {
  return new FlashQError('not_connected', 'Not connected')
}

function connectError(fault: unknown): FlashQError {
  if (fault instanceof FlashQError) return fault
  return new FlashQError('not_connected', describeFetchFault(fault), { cause: fault })
}
