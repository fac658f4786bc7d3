// Replies that wait until the records they depend on are durable.
//
//   slot ◀── HeldSlot ◀── reply          line is copied into the turn's group
//                                        │ end of turn: the group waits for the journals of the shards it touched
//   slot ◀────────────────────────────── ┘ durable: lines go out, in the order they were made
//
// 1. Every reply of a turn waits for every shard that was touched in it, also replies that only read: nobody sees
//    a state that a crash could take back.
// 2. A group that can't become durable in time is refused line by line: jobs that a line hands over go back and the pull
//    did not run; a refusal stays what it is; the rest may have run, and says so. That it did not run is said only of a
//    turn of which nothing is stored anywhere.
// 3. Without durability (`waits` false) a group leaves at the end of its turn.
// 4. Letters to other shards wait like replies, in both modes of durability: no shard acts on what another may forget.
// 5. A pull keeps its frame, so that it can be asked again elsewhere when its shard moves (`bounce`).

import { Bag, type BagItem } from '../engine/bag.ts'
import { ByteWriter } from '../engine/byte-writer.ts'
import type { DurableLog, ReplySlot, Unwritten, WireCodec } from '../engine/ports.ts'
import { type Refusal, refusals } from '../engine/refusal.ts'
import { refuse } from './refuse.ts'

const GROUP_BYTES = 1024
/** A group's writer keeps what it has grown to, for the next group: growing again for each turn's replies costs more than writing them. */
const WRITER_BYTES_KEPT_MAX = 1024 * 1024
/** Of all that are kept. */
const SPARE_BYTES_MAX = 8 * 1024 * 1024

interface Item {
  readonly slot: ReplySlot
  readonly reqId: string
  readonly from: number
  readonly to: number
  readonly handed: Unwritten | null
}

class Group implements BagItem {
  readonly writer: ByteWriter
  items: Item[] = []
  /** Journals that it still waits for. */
  left = 0
  /** Its turn recorded something in more than one journal. */
  isMixed = false
  isOver = false
  bagAt = -1

  constructor(writer: ByteWriter) {
    this.writer = writer
  }
}

interface Waiter {
  /** Of its journal, before and after the turn. */
  readonly from: number
  readonly mark: number
  readonly group: Group | null
  readonly letter: (() => void) | null
}

/** Called when these groups are over. */
interface Barrier {
  readonly groups: Set<Group>
  readonly done: () => void
}

interface Letter {
  readonly log: DurableLog
  readonly send: () => void
}

export interface HoldOwner {
  /** Jobs of a line that is not sent. */
  giveBack(handed: Unwritten): void
  /** The one who still owns what it answers from; checked when nothing else proves it. */
  mayAnswer(): boolean
}

/** Replies of one worker. */
export class ReplyHold {
  /** While it is set, a waiting pull that ends is asked again elsewhere. */
  isBouncing = false
  private readonly owner: HoldOwner
  private readonly codec: WireCodec
  private readonly waits: boolean
  private group = new Group(new ByteWriter(GROUP_BYTES))
  /** Of groups that are over. */
  private readonly spareWriters: ByteWriter[] = []
  private spareBytes = 0
  private letters: Letter[] = []
  /** Groups of earlier turns that are not over. */
  private readonly open = new Bag<Group>()
  private readonly barriers = new Set<Barrier>()
  /** In the order of their marks. A log that nothing waits for keeps its place. */
  private readonly waiters = new Map<DurableLog, Waiter[]>()
  /** Marks at the end of the last turn that touched them. */
  private readonly marks = new WeakMap<DurableLog, number>()
  /** With records that are not on their way yet. */
  private unflushed = new Set<DurableLog>()

  constructor(owner: HoldOwner, codec: WireCodec, waits: boolean) {
    this.owner = owner
    this.codec = codec
    this.waits = waits
  }

  /** `reqId`: raw JSON, or ''. `bounce` takes a pull whose shard moves on; null for what does not wait. */
  slot(slot: ReplySlot, reqId: string, bounce: (() => void) | null): ReplySlot {
    return new HeldSlot(this, slot, reqId, bounce)
  }

  /** The replies made since the last turn wait for these. */
  endTurn(logs: Iterable<DurableLog>): void {
    const { group, letters } = this
    if (letters.length > 0) this.holdLetters(letters)
    const isEmpty = group.items.length === 0
    if (!isEmpty) this.group = new Group(this.takeWriter())
    let recorded = 0
    for (const log of logs) {
      const { mark } = log
      const from = this.marks.get(log) ?? 0
      if (from !== mark) {
        recorded++
        this.marks.set(log, mark)
      }
      if (log.durableMark === mark) continue
      this.flushLater(log)
      if (isEmpty || !this.waits) continue
      group.left++
      this.wait(log, { from, mark, group, letter: null })
    }
    if (isEmpty) return
    group.isMixed = recorded > 1
    if (group.left > 0) this.open.add(group)
    else if (this.owner.mayAnswer()) this.release(group)
    else this.refuse(group, recorded > 0 ? refusals.notStored : refusals.unavailable)
  }

  /** More of a log is durable. */
  durable(log: DurableLog): void {
    const waiters = this.waiters.get(log)
    if (waiters === undefined) return
    let done = 0
    for (const { mark, group, letter } of waiters) {
      if (mark > log.durableMark) break
      done++
      letter?.()
      if (group === null) continue
      group.left--
      if (group.left === 0 && !group.isOver) this.release(group)
    }
    waiters.splice(0, done)
  }

  /** The replies that wait for this log are refused; its letters go on waiting. */
  refuseReplies(log: DurableLog, refusal: Refusal): void {
    const waiters = this.waiters.get(log) ?? []
    for (const { group } of waiters) if (group !== null) this.refuse(group, refusal)
  }

  /**
   * The log is over: its letters are not sent, and what waits for it is refused, the replies that the next record is of
   * with `first`. Call it between turns.
   */
  drop(log: DurableLog, refusal: Refusal, first = refusal): void {
    const waiters = this.waiters.get(log) ?? []
    this.waiters.delete(log)
    this.letters = this.letters.filter((letter) => letter.log !== log)
    const { durableMark } = log
    for (const { from, mark, group } of waiters) {
      if (group === null) continue
      const isNext = from <= durableMark && durableMark < mark
      if (group.isMixed || durableMark > from) this.refuse(group, refusals.notStored)
      else this.refuse(group, isNext ? first : refusal)
    }
  }

  /** `done` is called when every reply that was made so far is on its way, or refused. */
  whenSent(done: () => void): void {
    const groups = new Set(this.open.items)
    if (this.group.items.length > 0) groups.add(this.group)
    if (groups.size === 0) done()
    else this.barriers.add({ groups, done })
  }

  /** `send` is called when everything that the log's shard records in this turn is durable. */
  letter(log: DurableLog, send: () => void): void {
    this.letters.push({ log, send })
  }

  /** For `HeldSlot`. */
  get writer(): ByteWriter {
    return this.group.writer
  }

  /** For `HeldSlot`. */
  add(item: Item): void {
    this.group.items.push(item)
  }

  private holdLetters(letters: readonly Letter[]): void {
    this.letters = []
    for (const { log, send } of letters) {
      const { mark } = log
      if (log.durableMark === mark) send()
      else this.wait(log, { from: mark, mark, group: null, letter: send })
    }
  }

  private wait(log: DurableLog, waiter: Waiter): void {
    const waiters = this.waiters.get(log)
    if (waiters === undefined) this.waiters.set(log, [waiter])
    else waiters.push(waiter)
  }

  /** At the end of the loop's turn: what all connections sent in it shares one append. */
  private flushLater(log: DurableLog): void {
    if (this.unflushed.size === 0) setImmediate(this.flushAll)
    this.unflushed.add(log)
  }

  private readonly flushAll = (): void => {
    const logs = this.unflushed
    this.unflushed = new Set()
    for (const log of logs) log.flush()
  }

  private refuse(group: Group, refusal: Refusal): void {
    if (group.isOver) return
    group.isOver = true
    const { bytes } = group.writer
    for (const { slot, reqId, from, to, handed } of group.items) {
      if (handed !== null) this.owner.giveBack(handed)
      if (isRefusal(bytes, from)) send(slot, bytes, from, to, null)
      else refuse(this.codec, slot, reqId, handed === null ? refusal : refusals.unavailable)
    }
    this.ended(group)
  }

  private release(group: Group): void {
    group.isOver = true
    const { bytes } = group.writer
    for (const { slot, from, to, handed } of group.items) send(slot, bytes, from, to, handed)
    this.ended(group)
  }

  private takeWriter(): ByteWriter {
    const writer = this.spareWriters.pop()
    if (writer === undefined) return new ByteWriter(GROUP_BYTES)
    this.spareBytes -= writer.bytes.length
    return writer
  }

  /** Nobody reads its bytes any more. */
  private giveWriter(writer: ByteWriter): void {
    const size = writer.bytes.length
    if (size > WRITER_BYTES_KEPT_MAX || this.spareBytes + size > SPARE_BYTES_MAX) return
    writer.length = 0
    this.spareBytes += size
    this.spareWriters.push(writer)
  }

  private ended(group: Group): void {
    this.giveWriter(group.writer)
    this.open.remove(group)
    for (const barrier of this.barriers) {
      barrier.groups.delete(group)
      if (barrier.groups.size > 0) continue
      this.barriers.delete(barrier)
      barrier.done()
    }
  }
}

class HeldSlot implements ReplySlot {
  private readonly hold: ReplyHold
  private readonly slot: ReplySlot
  private readonly reqId: string
  private readonly bounce: (() => void) | null
  private from = 0

  constructor(hold: ReplyHold, slot: ReplySlot, reqId: string, bounce: (() => void) | null) {
    this.hold = hold
    this.slot = slot
    this.reqId = reqId
    this.bounce = bounce
  }

  get unordered(): boolean {
    return this.slot.unordered
  }

  set unordered(value: boolean) {
    this.slot.unordered = value
  }

  open(): ByteWriter {
    const { writer } = this.hold
    this.from = writer.length
    return writer
  }

  close(handed: Unwritten | null): void {
    const { hold, slot, reqId, bounce, from } = this
    if (hold.isBouncing && bounce !== null && handed === null) {
      hold.writer.length = from
      bounce()
      return
    }
    hold.add({ slot, reqId, from, to: hold.writer.length, handed })
  }
}

function send(
  slot: ReplySlot,
  bytes: Buffer,
  from: number,
  to: number,
  handed: Unwritten | null,
): void {
  slot.open().copy(bytes, from, to)
  slot.close(handed)
}

const OK_TRUE = '{"ok":true'

function isRefusal(bytes: Buffer, from: number): boolean {
  return bytes.toString('latin1', from, from + OK_TRUE.length) !== OK_TRUE
}
