// ACKB, HEARTBEAT and RELEASE whose ids belong to several workers: one sub-command per owner, and one reply.
//
//   ids     [ a  b  c  d ]        owners  a, c → 0   b, d → 1
//   parts   0: ids [ a c ] places [ 0 2 ]      1: ids [ b d ] places [ 1 3 ]
//   reply   count = sum of the parts' counts; an item's refusal at the place it had in the request
//
// The parts are lines in the clients' own format, and go the way of every other command. A part that
// fails as a whole refuses each of its ids, so the client learns which ones did not run or are unknown.

import { ByteWriter } from '../engine/byte-writer.ts'
import type { Command } from '../engine/command.ts'
import { Op, opNames } from '../engine/op.ts'
import type { ItemRefusal, Reply, ReplySlot, Unwritten } from '../engine/ports.ts'
import { type Refusal, type RefusalCode, refusals } from '../engine/refusal.ts'

/** A sub-command: its line, newline included, and where its reply goes. */
export interface Part {
  readonly line: Buffer
  readonly slot: ReplySlot
}

/** Splits a command by `ownerOf(id)`; `reply` is called when all parts are answered. */
export function scatter(command: Command, reply: Reply, ownerOf: (id: number) => number): Part[] {
  const placesByOwner = new Map<number, number[]>()
  for (let i = 0; i < command.idCount; i++) {
    const owner = ownerOf(command.ids[i] as number)
    const places = placesByOwner.get(owner)
    if (places === undefined) placesByOwner.set(owner, [i])
    else places.push(i)
  }
  const whole = new Whole(reply, placesByOwner.size)
  return [...placesByOwner.values()].map((places) => ({
    line: lineOf(command, places),
    slot: new PartSlot(whole, places),
  }))
}

function lineOf(command: Command, places: readonly number[]): Buffer {
  const out = new ByteWriter(64 + places.length * 32)
  out.ascii(`{"cmd":"${opNames[command.op]}","ids":[`)
  list(out, places, (place) => out.uint(command.ids[place] as number))
  if (command.hasTokens) {
    out.ascii('],"tokens":[')
    list(out, places, (place) => {
      const token = command.tokens[place] as number
      if (Number.isNaN(token)) out.ascii('null')
      else out.uint(token)
    })
  }
  if (command.op === Op.ACKB && command.hasResults) {
    out.ascii('],"results":[')
    list(out, places, (place) => {
      const from = command.results[2 * place] as number
      if (from < 0) out.ascii('null')
      else out.copy(command.bytes, from, command.results[2 * place + 1] as number)
    })
  }
  out.byte(0x5d)
  if (command.op === Op.HEARTBEAT && command.leaseMs > 0) {
    out.ascii(',"lease":')
    out.uint(command.leaseMs)
  }
  out.ascii('}\n')
  return out.toBuffer()
}

function list(out: ByteWriter, places: readonly number[], item: (place: number) => void): void {
  places.forEach((place, i) => {
    if (i > 0) out.byte(0x2c)
    item(place)
  })
}

class Whole {
  private readonly reply: Reply
  private partsLeft: number
  private count = 0
  private readonly refused: ItemRefusal[] = []

  constructor(reply: Reply, parts: number) {
    this.reply = reply
    this.partsLeft = parts
  }

  part(count: number, refused: readonly ItemRefusal[]): void {
    this.count += count
    this.refused.push(...refused)
    this.partsLeft--
    if (this.partsLeft > 0) return
    this.refused.sort((a, b) => a.index - b.index)
    this.reply.counted(this.count, this.refused)
  }
}

interface PartReply {
  readonly ok: boolean
  readonly ids?: readonly number[]
  readonly errors?: readonly { index: number; error: string; code: RefusalCode }[]
  readonly error?: string
  readonly code?: RefusalCode
}

/** Reads the reply line of a part as it is written. */
class PartSlot implements ReplySlot {
  unordered = false
  private readonly whole: Whole
  private readonly places: readonly number[]
  private readonly writer = new ByteWriter(256)

  constructor(whole: Whole, places: readonly number[]) {
    this.whole = whole
    this.places = places
  }

  open(): ByteWriter {
    return this.writer
  }

  close(_handed: Unwritten | null): void {
    const { writer, places, whole } = this
    const reply = JSON.parse(writer.bytes.toString('utf8', 0, writer.length)) as PartReply
    if (!reply.ok) {
      const refusal = refusalOf(reply.code, reply.error)
      whole.part(
        0,
        places.map((index) => ({ index, refusal })),
      )
      return
    }
    const refused = (reply.errors ?? []).map((item) => ({
      index: places[item.index] as number,
      refusal: refusalOf(item.code, item.error),
    }))
    whole.part(reply.ids?.[0] ?? 0, refused)
  }
}

function refusalOf(code: RefusalCode | undefined, text: string | undefined): Refusal {
  return code === undefined || text === undefined ? refusals.outcomeUnknown : { code, text }
}
