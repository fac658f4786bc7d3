// Events by HTTP: one endless answer, asked for anew whenever it ends.
//
// 1. After a break it goes on behind the last event that came (`Last-Event-ID`); what the server no longer has, it says.
//    After an end in good order it is back soon: the worker is being replaced, and who stays away until all of them are
//    has missed something. After any other end the server's `retry` is waited for. Streams that keep ending back off.
// 2. A server that is silent for longer than three of its keep-alives is given up.
// 3. A refusal or failure before the first answer ends it, unless `retryConnect` is set.

import { backoffMs } from '../backoff.ts'
import { Deferred } from '../deferred.ts'
import { FlashQError } from '../errors.ts'
import type { EventWish, FeedEvent, QueueEvent } from '../event.ts'
import { parseJson } from '../exact-json.ts'
import type { EventName } from '../job.ts'
import type { Settings } from '../options.ts'
import { pause } from '../pause.ts'
import { type Reply, refusalOf } from '../reply.ts'
import type { EventFeed, FeedHooks } from '../transport.ts'
import { describeFetchFault, headersOf } from './exchange.ts'
import { type ServerSentEvent, SseParser } from './sse-parser.ts'

/** The server says something every 15 s. */
const SILENCE_MS = 50_000

export class SseFeed implements EventFeed {
  readonly #settings: Settings
  readonly #path: string
  readonly #hooks: FeedHooks
  readonly #first = new Deferred<void>()
  readonly #stopped = new AbortController()
  #running: Promise<void> | null = null
  #started = false
  #lastId = ''
  #retryMs: number | null = null

  constructor(settings: Settings, wish: EventWish, hooks: FeedHooks) {
    this.#settings = settings
    this.#hooks = hooks
    this.#path = pathOf(wish)
  }

  start(): Promise<void> {
    this.#running = this.#run()
    return this.#first.promise
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new FlashQError('closed', 'Connection closed'))
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const sinceMs = performance.now()
      const heard = await this.#listen(signal).catch((fault: unknown) => this.#failed(fault))
      if (heard === 'refused') return
      const retryMs = this.#retryMs ?? 0
      if (heard === 'some' && performance.now() - sinceMs >= retryMs) attempt = 0
      const waitMs = heard === 'some' ? 0 : retryMs
      await pause(waitMs + this.#delayMs(attempt), signal).catch(() => {})
    }
    this.#first.reject(signal.reason)
  }

  /** Whether it is worth going on. */
  #failed(fault: unknown): 'none' | 'refused' {
    if (this.#stopped.signal.aborted) return 'none'
    const error =
      fault instanceof FlashQError
        ? fault
        : new FlashQError('not_connected', describeFetchFault(fault), { cause: fault })
    if (!this.#started && !this.#settings.retryConnect) {
      this.#first.reject(error)
      return 'refused'
    }
    this.#hooks.failed(error)
    return 'none'
  }

  #delayMs(attempt: number): number {
    const { reconnectDelayMs, reconnectDelayMsMax } = this.#settings
    return backoffMs(attempt, reconnectDelayMs, reconnectDelayMsMax)
  }

  /** Until the answer ends. */
  async #listen(stopped: AbortSignal): Promise<'some' | 'none'> {
    const cut = new AbortController()
    const abort = (): void => cut.abort(stopped.reason)
    stopped.addEventListener('abort', abort, { once: true })
    let timer = setTimeout(abort, this.#settings.timeoutMs)
    const heard = (): void => {
      clearTimeout(timer)
      timer = setTimeout(abort, SILENCE_MS)
    }
    try {
      const body = await this.#ask(cut.signal)
      cut.signal.throwIfAborted()
      heard()
      if (!this.#started) {
        this.#started = true
        this.#first.resolve()
      }
      await this.#read(body.getReader(), cut.signal, heard)
      return 'some'
    } finally {
      clearTimeout(timer)
      stopped.removeEventListener('abort', abort)
      cut.abort()
    }
  }

  async #ask(signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers: Record<string, string> = {
      ...headersOf(this.#settings, false),
      accept: 'text/event-stream',
    }
    if (this.#lastId !== '') headers['last-event-id'] = this.#lastId
    const url = this.#settings.httpUrl + this.#path
    const response = await fetch(url, { headers, signal })
    const type = response.headers.get('content-type') ?? ''
    if (response.ok && response.body !== null && type.startsWith('text/event-stream')) {
      return response.body
    }
    throw refusedBy(await response.text(), response.status)
  }

  async #read(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    signal: AbortSignal,
    heard: () => void,
  ): Promise<void> {
    signal.addEventListener('abort', () => void reader.cancel().catch(() => {}), { once: true })
    const parser = new SseParser()
    parser.lastId = this.#lastId
    const decoder = new TextDecoder()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      heard()
      for (const event of parser.feed(decoder.decode(value, { stream: true }))) {
        const told = feedEventOf(event, this.#settings.bigint)
        if (told !== null && !this.#stopped.signal.aborted) this.#hooks.event(told)
      }
      this.#lastId = parser.lastId
      this.#retryMs = parser.retryMs ?? this.#retryMs
    }
  }
}

function pathOf({ queues, types }: EventWish): string {
  const query = new URLSearchParams()
  const [only] = queues
  if (queues.length > 1) query.set('queues', queues.join(','))
  if (types.length > 0) query.set('types', types.join(','))
  const path =
    only !== undefined && queues.length === 1 ? `/events/${encodeURIComponent(only)}` : '/events'
  return query.size === 0 ? path : `${path}?${query}`
}

function refusedBy(text: string, status: number): FlashQError {
  try {
    const reply = JSON.parse(text) as Reply
    if (reply.ok === false) return refusalOf(reply)
  } catch {
    // Not FlashQ's own words: the status says what can be said.
  }
  return new FlashQError('protocol', `No events: HTTP ${status}`)
}

/** Null for what is no event of a queue. */
function feedEventOf(sent: ServerSentEvent, bigint: boolean): FeedEvent | null {
  const fields = parseJson(sent.data, bigint)
  if (typeof fields !== 'object' || fields === null) return null
  const { event_type, event, queue, job_id, timestamp, data, error, progress, count, missed } =
    fields as Record<string, unknown>
  const name = event_type ?? event ?? sent.type
  if (name === 'dropped') return { event: 'dropped', count: Number(count ?? missed ?? 0) }
  if (typeof queue !== 'string' || typeof job_id !== 'number') return null
  const told: QueueEvent = { event: name as EventName, queue, job_id, timestamp: Number(timestamp) }
  if (data !== undefined) told.data = data
  if (typeof error === 'string') told.error = error
  if (typeof progress === 'number') told.progress = progress
  if (sent.id !== '') told.event_id = sent.id
  return told
}
