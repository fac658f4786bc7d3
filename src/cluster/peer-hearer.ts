// Another worker that hears the numbered events of this one, at the other end of a link.

import { limits } from '../engine/limits.ts'
import type { EventKind, FeedPosition, FeedStream } from '../engine/ports.ts'
import type { Hearer } from './chronicle.ts'
import { putBroken, putFeedOver, putPositioned, putSkipped, putTold } from './feed-frames.ts'
import type { Outbox } from './outbox.ts'

export class PeerHearer implements Hearer {
  private readonly outbox: Outbox

  constructor(outbox: Outbox) {
    this.outbox = outbox
  }

  get hasRoom(): boolean {
    return this.outbox.backlogBytes <= limits.outgoingBytesHigh
  }

  positioned(position: FeedPosition): void {
    putPositioned(this.outbox.writer, position)
    this.outbox.added()
  }

  told(_stream: FeedStream, seq: number, kind: EventKind, queue: string, note: Buffer): void {
    putTold(this.outbox.writer, seq, kind, queue, note)
    this.outbox.added()
  }

  skipped(_stream: FeedStream, seq: number, count: number): void {
    putSkipped(this.outbox.writer, seq, count)
    this.outbox.added()
  }

  broken(_stream: FeedStream, seq: number): void {
    putBroken(this.outbox.writer, seq)
    this.outbox.added()
  }

  over(): void {
    putFeedOver(this.outbox.writer)
    this.outbox.added()
  }
}
