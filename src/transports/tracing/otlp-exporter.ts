// Sends spans to a collector of OpenTelemetry: OTLP over HTTP, as JSON.
//
// 1. One request is under way; what comes meanwhile waits, at most `spansWaitingMax`. One more is dropped and counted.
// 2. What the collector does not take within `EXPORT_MS_MAX` is dropped and counted: jobs never wait for a collector, and
//    one that is away for long would have nothing to say about what was sent first.
// 3. After a failure the next request waits a while.

import { limits } from '../../engine/limits.ts'
import type { Log } from '../log.ts'
import type { SpanSink } from './job-spans.ts'
import { otlpJson, type Span } from './span.ts'

const BATCH_SPANS = 512
const GATHER_MS = 1000
const EXPORT_MS_MAX = 5000
const PAUSE_MS = 5000

export interface OtlpExporterOptions {
  /** Of the collector; `/v1/traces` comes behind. */
  readonly endpoint: string
  readonly resource: Readonly<Record<string, string>>
  readonly log: Log
  readonly gatherMs?: number
}

export class OtlpExporter implements SpanSink {
  exported = 0
  dropped = 0
  private readonly options: OtlpExporterOptions
  private readonly url: string
  private waiting: Span[] = []
  private timer: NodeJS.Timeout | null = null
  private isSending = false
  private isFailing = false

  constructor(options: OtlpExporterOptions) {
    this.options = options
    this.url = `${options.endpoint.replace(/\/+$/, '')}/v1/traces`
  }

  add(span: Span): void {
    if (this.waiting.length >= limits.spansWaitingMax) {
      this.dropped++
      return
    }
    this.waiting.push(span)
    this.sendLater(this.options.gatherMs ?? GATHER_MS)
  }

  /** Sends what is there; resolves when it is taken or dropped. */
  async flush(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (this.isSending) return
    this.isSending = true
    while (this.waiting.length > 0) {
      const spans = this.waiting.splice(0, BATCH_SPANS)
      const why = await this.send(spans)
      if (why === null) this.exported += spans.length
      else this.dropped += spans.length
      this.note(why)
      if (why !== null) break
    }
    this.isSending = false
    if (this.waiting.length > 0) this.sendLater(PAUSE_MS)
  }

  private sendLater(afterMs: number): void {
    if (this.timer !== null || this.isSending) return
    this.timer = setTimeout(() => void this.flush(), this.isFailing ? PAUSE_MS : afterMs).unref()
  }

  /** Null, or why they were not taken. */
  private async send(spans: readonly Span[]): Promise<string | null> {
    try {
      const response = await fetch(this.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: otlpJson(spans, this.options.resource),
        redirect: 'error',
        signal: AbortSignal.timeout(EXPORT_MS_MAX),
      })
      await response.body?.cancel()
      return response.ok ? null : `status ${response.status}`
    } catch (error) {
      return (error as Error).message
    }
  }

  /** One line for each outage. */
  private note(why: string | null): void {
    const { log } = this.options
    if (why !== null && !this.isFailing)
      log.warn({ why }, 'spans are dropped: the collector does not take them')
    if (why === null && this.isFailing) log.info({}, 'the collector takes spans again')
    this.isFailing = why !== null
  }
}
