// The events of one shard whose records are kept: subscribers hear of what is durable, and of nothing else.

import type { Seq } from '../engine/job-id.ts'
import { rowOf } from '../engine/job-store.ts'
import type {
  DurableLog,
  EventKind,
  EventLines,
  EventSink,
  JobSource,
  PreparedEvent,
} from '../engine/ports.ts'
import type { ReplyHold } from './reply-hold.ts'

export class HeldEvents implements EventSink {
  private readonly lines: EventLines
  private readonly log: DurableLog
  private readonly hold: Pick<ReplyHold, 'letter'>

  constructor(lines: EventLines, log: DurableLog, hold: Pick<ReplyHold, 'letter'>) {
    this.lines = lines
    this.log = log
    this.hold = hold
  }

  get listening(): boolean {
    return this.lines.listening
  }

  wants(queue: string, kind: EventKind): boolean {
    return this.lines.wants(queue, kind)
  }

  event(kind: EventKind, source: JobSource, seq: Seq, nowMs: number, error: string | null): void {
    const queue = source.queueName(source.jobs.get(seq).queue[rowOf(seq)] as number)
    const hasNote = this.lines.admit(queue, kind, 1, nowMs) === 1
    const event = this.lines.prepare(kind, source, seq, nowMs, error, hasNote)
    this.hold.letter(this.log, () => this.lines.publish(event))
  }

  events(kind: EventKind, source: JobSource, firstSeq: Seq, count: number, nowMs: number): void {
    const { lines } = this
    const queue = source.queueName(source.jobs.get(firstSeq).queue[rowOf(firstSeq)] as number)
    const noted = lines.admit(queue, kind, count, nowMs)
    const events: PreparedEvent[] = []
    for (let i = 0; i < count; i++) {
      const event = lines.prepare(kind, source, firstSeq + i, nowMs, null, i < noted)
      if (event.line !== null || event.note !== null) events.push(event)
      else if (i >= noted) break
    }
    if (events.length === 0) return
    this.hold.letter(this.log, () => {
      for (const event of events) lines.publish(event)
    })
  }
}
