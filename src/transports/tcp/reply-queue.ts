// The replies that a connection owes, in the order of their requests.
//
//   ordered   [ PULL: open ][ ACK: done, held ][ PUSH: done, held ]     ◀── next frames
//             ▲ first: written straight into the output when it is answered; then those behind it follow
//   unordered { PULL reqId 7, PULL reqId 9 }                             written whenever they are answered
//
// 1. A frame that is answered within its submit while nothing is owed never enters a list: its slot
//    writes straight into the output and serves the next frame again.
// 2. A reply that is not its turn yet is rendered into a buffer of its own and held.
// 3. A pull that was cancelled, or whose connection is gone, may still be answered: the line goes
//    nowhere, and the jobs it hands over go back.
// 4. A pull that is not answered within its submit keeps its frame, so that it can be asked again elsewhere.

import { Bag, type BagItem } from '../../engine/bag.ts'
import type { ByteWriter } from '../../engine/byte-writer.ts'
import type { ReplySlot, Unwritten } from '../../engine/ports.ts'
import type { Refusal } from '../../engine/refusal.ts'
import { writeRefusal } from '../wire/reply-json.ts'
import { borrowWriter, returnWriter } from '../writer-pool.ts'
import { Asked, Ends } from './first-look.ts'
import { isPull, type KeptPull, type KeptReply } from './moving.ts'
import type { Output } from './output.ts'

export interface ReplyQueueOwner {
  /** A reply was written or is held: there may be something to flush, and there is more to hold. */
  replied(): void
  giveBack(handed: Unwritten): void
}

/** Who counts replies. */
export interface ReplyAccount {
  /** The line of a slot is `bytes[from..to)`. */
  answered(slot: Slot, bytes: Buffer, from: number, to: number, handed: Unwritten | null): void
}

/** Where a slot's line goes. */
type Place = 'undecided' | 'output' | 'own' | 'nowhere'

export class Slot implements ReplySlot, BagItem {
  unordered = false
  asked: Asked = Asked.other
  place: Place = 'undecided'
  done = false
  /** In the ordered list. */
  queued = false
  /** Among the unordered ones. */
  bagAt = -1
  own: ByteWriter | null = null
  handed: Unwritten | null = null
  /** Of a pull that waits: its frame, when it came, and its number among those of the connection. */
  line: Buffer | null = null
  keptMs = 0
  serial = 0
  /** When its frame came, when that is to be measured; else 0. */
  sinceMs = 0
  /** Of a frame that is measured. */
  op = 0
  /** What its frame ends, if it succeeds. */
  ends: Ends = Ends.nothing
  private readonly queue: ReplyQueue

  constructor(queue: ReplyQueue) {
    this.queue = queue
  }

  open(): ByteWriter {
    return this.queue.open(this)
  }

  close(handed: Unwritten | null): void {
    this.queue.close(this, handed)
  }
}

export class ReplyQueue {
  /** Bytes of held replies. */
  heldBytes = 0
  private readonly output: Output
  private readonly owner: ReplyQueueOwner
  private readonly account: ReplyAccount
  private ordered: Slot[] = []
  private head = 0
  private readonly unordered = new Bag<Slot>()
  private spare: Slot | null = null
  /** Where the line begins that is being written into the output. */
  private lineFrom = 0
  private gone = false
  private lastSerial = 0

  constructor(output: Output, owner: ReplyQueueOwner, account: ReplyAccount) {
    this.output = output
    this.owner = owner
    this.account = account
  }

  /** Commands whose reply has not reached the output. */
  get owed(): number {
    return this.ordered.length - this.head + this.unordered.items.length
  }

  /** A slot for the next frame; `settle` follows once the frame was submitted. */
  next(asked: Asked): Slot {
    const slot = this.spare ?? new Slot(this)
    this.spare = null
    slot.asked = asked
    return slot
  }

  /** The frame was submitted: its slot is re-used, or waits. */
  settle(slot: Slot): void {
    if (slot.done && slot.place === 'output') {
      slot.unordered = false
      slot.place = 'undecided'
      slot.done = false
      this.spare = slot
    } else if (this.gone) {
      return
    } else if (slot.unordered) {
      this.unordered.add(slot)
    } else {
      slot.queued = true
      this.ordered.push(slot)
      this.drain()
    }
  }

  /** The pull of this slot waits. `line`: see `KeptPull`. */
  keep(slot: Slot, line: Buffer, nowMs: number): void {
    slot.line = line
    slot.keptMs = nowMs
    slot.serial = ++this.lastSerial
  }

  /** Whether nothing is unanswered but pulls that wait. */
  get onlyPullsWait(): boolean {
    for (let i = this.head; i < this.ordered.length; i++) {
      const { done, line } = this.ordered[i] as Slot
      if (!done && line === null) return false
    }
    for (const { line } of this.unordered.items) if (line === null) return false
    return true
  }

  /** The slots of pulls that wait, in the order in which they came. */
  waiting(): Slot[] {
    const slots = [...this.ordered.slice(this.head), ...this.unordered.items]
    return slots
      .filter(({ done, line }) => !done && line !== null)
      .sort((a, b) => a.serial - b.serial)
  }

  /** All that is owed, for another worker; `lineOf` a pull. What is held stays held here until it is `abandon`ed. */
  pack(lineOf: (slot: Slot) => Buffer): (KeptPull | KeptReply)[] {
    const kept: (KeptPull | KeptReply)[] = []
    for (const slot of [...this.ordered.slice(this.head), ...this.unordered.items]) {
      const { asked, unordered, serial, own, handed } = slot
      if (!slot.done) kept.push({ asked, unordered, serial, line: lineOf(slot) })
      else if (own !== null) kept.push({ bytes: own.toBuffer(), handed })
    }
    return kept
  }

  /** Takes over what another worker owed. The pulls are to be asked: see `waiting`. */
  unpack(kept: readonly (KeptPull | KeptReply)[], nowMs: number): void {
    for (const each of kept) {
      const slot = new Slot(this)
      if (isPull(each)) {
        slot.asked = each.asked
        slot.unordered = each.unordered
        this.keep(slot, Buffer.from(each.line), nowMs)
        slot.serial = each.serial
        this.lastSerial = Math.max(this.lastSerial, each.serial)
      } else {
        slot.done = true
        slot.place = 'own'
        slot.own = borrowWriter()
        slot.own.copy(each.bytes, 0, each.bytes.length)
        slot.handed = each.handed
        this.heldBytes += each.bytes.length
      }
      slot.queued = !slot.unordered
      if (slot.unordered) this.unordered.add(slot)
      else this.ordered.push(slot)
    }
    this.drain()
  }

  open(slot: Slot): ByteWriter {
    if (slot.done) throw new Error('a command was answered twice')
    if (this.gone || slot.place === 'nowhere') {
      slot.place = 'nowhere'
    } else if (slot.unordered || this.isNext(slot)) {
      slot.place = 'output'
      const out = this.output.open()
      this.lineFrom = out.length
      return out
    } else {
      slot.place = 'own'
    }
    slot.own = borrowWriter()
    return slot.own
  }

  close(slot: Slot, handed: Unwritten | null): void {
    slot.done = true
    if (slot.place === 'nowhere') {
      this.drop(slot)
      if (handed !== null) this.owner.giveBack(handed)
      return
    }
    if (slot.place === 'own') {
      slot.handed = handed
      if (slot.own !== null) this.account.answered(slot, slot.own.bytes, 0, slot.own.length, handed)
      this.heldBytes += slot.own?.length ?? 0
      this.owner.replied()
      return
    }
    const { bytes, length } = this.output.open()
    this.account.answered(slot, bytes, this.lineFrom, length, handed)
    this.output.lineEnded(handed)
    if (slot.queued) this.drain()
    else this.unordered.remove(slot)
    this.owner.replied()
  }

  /**
   * Ends the pulls that still wait, with `refusal` or as if their wait were over. Those in order are answered; others
   * have no place to be missed.
   */
  cancelPulls(refusal: Refusal | null): void {
    for (const slot of this.ordered.slice(this.head)) {
      if (slot.done || slot.asked === Asked.other) continue
      // A stand-in takes its place in line; whatever comes for the slot itself goes nowhere.
      const standIn = new Slot(this)
      standIn.asked = slot.asked
      standIn.queued = true
      this.ordered[this.ordered.indexOf(slot, this.head)] = standIn
      slot.place = 'nowhere'
      slot.queued = false
      answerCancelled(standIn, refusal)
    }
    for (const slot of [...this.unordered.items]) {
      if (slot.asked === Asked.other) continue
      this.unordered.remove(slot)
      slot.place = 'nowhere'
    }
  }

  /** The connection is gone: the jobs of replies that were held. */
  abandon(): Unwritten[] {
    this.gone = true
    const handed: Unwritten[] = []
    for (let i = this.head; i < this.ordered.length; i++) {
      const slot = this.ordered[i] as Slot
      if (slot.handed !== null) handed.push(slot.handed)
      this.drop(slot)
    }
    this.ordered = []
    this.head = 0
    this.unordered.clear()
    this.heldBytes = 0
    return handed
  }

  private isNext(slot: Slot): boolean {
    return slot.queued ? this.ordered[this.head] === slot : this.head === this.ordered.length
  }

  /** Moves the replies at the head of the line that are done into the output. */
  private drain(): void {
    while (this.head < this.ordered.length) {
      const slot = this.ordered[this.head] as Slot
      if (!slot.done) break
      this.head++
      if (slot.own === null) continue
      this.heldBytes -= slot.own.length
      this.output.append(slot.own)
      slot.own = null
      this.output.lineEnded(slot.handed)
      slot.handed = null
    }
    if (this.head === this.ordered.length) {
      this.ordered.length = 0
      this.head = 0
    } else if (this.head >= 1024) {
      this.ordered = this.ordered.slice(this.head)
      this.head = 0
    }
  }

  private drop(slot: Slot): void {
    if (slot.own !== null) returnWriter(slot.own)
    slot.own = null
    slot.handed = null
  }
}

function answerCancelled(slot: Slot, refusal: Refusal | null): void {
  const out = slot.open()
  if (refusal !== null) writeRefusal(out, refusal)
  else out.ascii(slot.asked === Asked.pull ? '{"ok":true,"job":null}\n' : '{"ok":true,"jobs":[]}\n')
  slot.close(null)
}
