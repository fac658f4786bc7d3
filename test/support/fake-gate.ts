// The gate as a connection sees it, without shards: it notes what comes in; what waits is answered by the test.

import { Command } from '../../src/engine/command.ts'
import { Op, type OpName, opNames } from '../../src/engine/op.ts'
import type {
  Gate,
  Reply,
  ReplySlot,
  Session,
  Subscriber,
  Unwritten,
} from '../../src/engine/ports.ts'
import { wireCodec } from '../../src/transports/wire/codec.ts'
import { FakeFeed } from './fake-feed.ts'
import { FakeJobSource } from './job-source.ts'

export interface Waiting {
  readonly op: OpName
  readonly reply: Reply
  readonly session: Session
}

export class FakeGate implements Gate {
  readonly source = new FakeJobSource()
  readonly ops: string[] = []
  readonly frames: string[] = []
  readonly waiting: Waiting[] = []
  readonly givenBack: Unwritten[] = []
  readonly closed: Session[] = []
  readonly subscribed: { queue: string; events: number; subscriber: Subscriber }[] = []
  readonly unsubscribed: string[] = []
  readonly feed = new FakeFeed()
  turns = 0
  /** Commands that are not answered at once. */
  held = new Set<OpName>(['PULL', 'PULLB'])
  onTurn: () => void = () => undefined
  private nextToken = 1
  private readonly watchers = new Set<{ isThere: () => boolean; resolve: () => void }>()
  private readonly command = new Command()

  submit(bytes: Buffer, from: number, to: number, slot: ReplySlot, session: Session): void {
    const { command } = this
    this.frames.push(bytes.toString('utf8', from, to))
    const refusal = wireCodec.scan(bytes, from, to, command)
    const reply = wireCodec.reply(command, slot)
    const op = opNames[command.op] as OpName
    this.ops.push(refusal === null ? op : refusal.code)
    if (refusal !== null) reply.refused(refusal)
    else if (this.held.has(op)) this.waiting.push({ op, reply, session })
    else if (command.op === Op.STATS) reply.stats({ queued: 0, processing: 0, delayed: 0, dlq: 0 })
    else if (command.op === Op.ACK) reply.refused({ code: 'job_not_found', text: `${command.id}` })
    else reply.ok()
    this.look()
  }

  turnEnded(): void {
    this.turns++
    this.onTurn()
    this.look()
  }

  giveBack(unwritten: Unwritten): void {
    this.givenBack.push(unwritten)
    this.look()
  }

  sessionClosed(session: Session): void {
    this.closed.push(session)
    this.look()
  }

  subscribe(queue: string, events: number, subscriber: Subscriber, done: () => void): void {
    done()
    this.subscribed.push({ queue, events, subscriber })
  }

  unsubscribe(queue: string): void {
    this.unsubscribed.push(queue)
    this.look()
  }

  /** Serves the pull that has waited longest (or the one at `index`) with new jobs of these data. */
  serve(data: readonly string[], index = 0): void {
    const [pull] = this.waiting.splice(index, 1)
    if (pull === undefined) throw new Error('no pull waits')
    const list = this.source.list(...data.map((text) => this.source.add({ data: text })))
    const delivery = { firstToken: this.nextToken, showToken: false }
    this.nextToken += data.length
    if (pull.op === 'PULL') pull.reply.pulled(this.source, list, delivery)
    else pull.reply.pulledBatch(this.source, list, delivery)
  }

  /** Resolves as soon as `isThere` is true after one of the gate's calls. */
  until(isThere: () => boolean): Promise<void> {
    if (isThere()) return Promise.resolve()
    return new Promise((resolve) => {
      this.watchers.add({ isThere, resolve })
    })
  }

  private look(): void {
    for (const watcher of this.watchers) {
      if (!watcher.isThere()) continue
      this.watchers.delete(watcher)
      watcher.resolve()
    }
  }
}
