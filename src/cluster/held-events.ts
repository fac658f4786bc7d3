// The events of one shard whose records are kept: subscribers hear of what is durable, and of nothing else.

import type { Seq } from '../engine/job-id.ts'
import type { DurableLog, EventKind, EventLines, EventSink, JobSource } from '../engine/ports.ts'
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
    const event = this.lines.prepare(kind, source, seq, nowMs, error)
    this.hold.letter(this.log, () => this.lines.publish(event))
  }
}
