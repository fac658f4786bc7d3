// Spans of jobs whose push had a trace context (ADR 16):
//
//   caller's span ─▶ "q publish"  (producer, when it was pushed)
//                        └─▶ "q process"  (consumer, one per run: from its pull to its end, with the outcome)
//
// 1. A span's id is made from the job's id and the run's token: nothing of a span is kept while its job lives, and a
//    run's span finds its parent at whichever worker it ends.
// 2. Only a context whose flags say that it is sampled makes spans.
// 3. A span is made when the shard decides, which is before the record of it is durable: a crash may show a run that, for
//    the queue, did not end.

import { createHash } from 'node:crypto'
import { jobIdOf, type Seq } from '../../engine/job-id.ts'
import { rowOf } from '../../engine/job-store.ts'
import type { JobWatch, RunEnd } from '../../engine/job-watch.ts'
import type { JobSource } from '../../engine/ports.ts'
import { contextIn, type TraceContext } from '../wire/trace-tags.ts'
import type { Span } from './span.ts'

const SAMPLED = 1

/** Takes spans; never waits. */
export interface SpanSink {
  add(span: Span): void
}

export class JobSpans implements JobWatch {
  private readonly sink: SpanSink

  constructor(sink: SpanSink) {
    this.sink = sink
  }

  pushed(source: JobSource, seq: Seq, nowMs: number): void {
    const context = contextOf(source, seq)
    if (context === null) return
    const { traceId, spanId } = partsOf(context)
    const id = jobIdOf(seq, source.shard)
    const queue = queueOf(source, seq)
    this.sink.add({
      name: `${queue} publish`,
      kind: 'producer',
      traceId,
      tracestate: context.tracestate,
      parentSpanId: spanId,
      spanId: spanIdOf(`${id}`),
      startMs: nowMs,
      endMs: nowMs,
      attributes: { ...common(queue, id), 'messaging.operation.type': 'send' },
      error: null,
    })
  }

  runEnded(source: JobSource, seq: Seq, nowMs: number, end: RunEnd, error: string | null): void {
    const context = contextOf(source, seq)
    if (context === null) return
    const page = source.jobs.get(seq)
    const row = rowOf(seq)
    const id = jobIdOf(seq, source.shard)
    const queue = queueOf(source, seq)
    const token = page.token?.[row] ?? 0
    this.sink.add({
      name: `${queue} process`,
      kind: 'consumer',
      traceId: partsOf(context).traceId,
      tracestate: context.tracestate,
      parentSpanId: spanIdOf(`${id}`),
      spanId: spanIdOf(`${id}:${token}`),
      startMs: page.startedAt?.[row] ?? nowMs,
      endMs: nowMs,
      attributes: {
        ...common(queue, id),
        'messaging.operation.type': 'process',
        // Runs that ended before this one.
        'flashq.job.attempts': page.attempts[row] as number,
        'flashq.job.outcome': end,
      },
      error: end === 'completed' ? null : (error ?? end),
    })
  }
}

function contextOf(source: JobSource, seq: Seq): TraceContext | null {
  const tags = source.jobs.rareOf(source.jobs.get(seq), seq)?.tags ?? null
  const context = tags === null ? null : contextIn(tags)
  if (context === null) return null
  return (partsOf(context).flags & SAMPLED) === 0 ? null : context
}

function partsOf({ traceparent }: TraceContext): {
  traceId: string
  spanId: string
  flags: number
} {
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-')
  return { traceId, spanId, flags: Number.parseInt(flags, 16) }
}

function spanIdOf(seed: string): string {
  return createHash('sha256').update(`flashq:${seed}`).digest('hex').slice(0, 16)
}

function queueOf(source: JobSource, seq: Seq): string {
  return source.queueName(source.jobs.get(seq).queue[rowOf(seq)] as number)
}

function common(queue: string, id: number): Record<string, string | number> {
  return {
    'messaging.system': 'flashq',
    'messaging.destination.name': queue,
    'messaging.message.id': String(id),
  }
}
