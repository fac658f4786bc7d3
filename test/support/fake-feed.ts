// The events of made-up workers, told by the test.

import { EventKind, type Feed, type FeedListener, type FeedStream } from '../../src/engine/ports.ts'

export class FakeFeed implements Feed {
  listener: FeedListener | null = null
  /** What is asked for at present. */
  readonly kinds = new Map<string, number>()
  readonly waiting: (() => void)[] = []
  /** `hear` is answered at once. */
  isQuick = true
  readonly streams: FeedStream[] = []
  private readonly heads = new Map<FeedStream, number>()

  hear(queue: string, kinds: number, done: () => void): void {
    if (kinds === 0) this.kinds.delete(queue)
    else this.kinds.set(queue, kinds)
    if (this.kinds.size > 0) for (const stream of this.streams) this.position(stream)
    if (this.isQuick) done()
    else this.waiting.push(done)
  }

  /** A worker that is heard from the next `hear` on, or from now on. */
  stream(worker: number, beganMs = 1000, isComplete = false): FeedStream {
    const stream = { worker, beganMs }
    this.streams.push(stream)
    this.heads.set(stream, 0)
    if (this.kinds.size > 0) this.position(stream, 0, isComplete)
    return stream
  }

  position(stream: FeedStream, floor = 0, isComplete = false): void {
    const head = this.heads.get(stream) ?? 0
    this.listener?.positioned({ stream, floor, head, isComplete })
  }

  /** Told before anybody listened: it is only counted. */
  past(stream: FeedStream, count: number): void {
    this.heads.set(stream, (this.heads.get(stream) ?? 0) + count)
  }

  tell(stream: FeedStream, text: string, queue = 'q', kind: EventKind = EventKind.pushed): number {
    const seq = (this.heads.get(stream) ?? 0) + 1
    this.heads.set(stream, seq)
    this.retell(stream, seq, text, queue, kind)
    return seq
  }

  /** One that it had already. */
  retell(
    stream: FeedStream,
    seq: number,
    text: string,
    queue = 'q',
    kind: EventKind = EventKind.pushed,
  ): void {
    this.listener?.told(stream, seq, kind, queue, Buffer.from(`{"job":"${text}"}`))
  }

  /** Its worker is gone. */
  end(stream: FeedStream, isWhole: boolean): void {
    this.streams.splice(this.streams.indexOf(stream), 1)
    this.listener?.ended(stream, isWhole)
  }

  skip(stream: FeedStream, count: number): void {
    const seq = (this.heads.get(stream) ?? 0) + count
    this.heads.set(stream, seq)
    this.listener?.skipped(stream, seq, count)
  }
}
