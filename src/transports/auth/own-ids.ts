// ACKB, HEARTBEAT and RELEASE that name jobs of others, too: the frame of what is left, and the whole's reply.
//
//   ids     [ a  X  b ]        X is not the principal's
//   frame   ids [ a b ] places [ 0 2 ]
//   reply   its count; its refusals at their places, and X refused as an id that does not exist

import { ByteWriter } from '../../engine/byte-writer.ts'
import type { Command } from '../../engine/command.ts'
import { Op, type OpName } from '../../engine/op.ts'
import type { ItemRefusal, Reply, ReplySlot } from '../../engine/ports.ts'
import type { Refusal } from '../../engine/refusal.ts'
import { frameOf } from '../wire/frames.ts'

/** The same command for the ids at `places`. */
export function frameOfPlaces(command: Command, op: OpName, places: readonly number[]): Buffer {
  const { ids, tokens, leaseMs } = command
  return frameOf(op, {
    ids: places.map((place) => ids[place]),
    // NaN becomes the null that it was.
    tokens: command.hasTokens ? places.map((place) => tokens[place]) : undefined,
    results: command.hasResults ? resultsAt(command, places) : undefined,
    lease: command.op === Op.HEARTBEAT && leaseMs > 0 ? leaseMs : undefined,
  })
}

function resultsAt({ bytes, results }: Command, places: readonly number[]): Buffer {
  const pieces: Buffer[] = []
  for (const place of places) {
    const from = results[2 * place] as number
    const to = results[2 * place + 1] as number
    pieces.push(Buffer.from(pieces.length === 0 ? '[' : ','))
    pieces.push(from < 0 ? Buffer.from('null') : bytes.subarray(from, to))
  }
  return Buffer.concat([...pieces, Buffer.from(']')])
}

interface PartReply {
  readonly ok: boolean
  readonly ids?: readonly number[]
  readonly errors?: readonly { index: number; error: string; code: Refusal['code'] }[]
  readonly error?: string
  readonly code?: Refusal['code']
}

/** Where the reply to that frame goes: it becomes the one to the whole. */
export class PartSlot implements ReplySlot {
  unordered = false
  private readonly writer = new ByteWriter(256)
  private readonly places: readonly number[]
  private readonly foreign: readonly ItemRefusal[]
  private readonly reply: Reply

  constructor(places: readonly number[], foreign: readonly ItemRefusal[], reply: Reply) {
    this.places = places
    this.foreign = foreign
    this.reply = reply
  }

  open(): ByteWriter {
    return this.writer
  }

  close(): void {
    const { writer, places, foreign, reply } = this
    const part = JSON.parse(writer.bytes.toString('utf8', 0, writer.length)) as PartReply
    if (!part.ok) {
      return reply.refused({ code: part.code ?? 'unavailable', text: part.error ?? '' })
    }
    const own = (part.errors ?? []).map(({ index, error, code }) => ({
      index: places[index] as number,
      refusal: { code, text: error },
    }))
    const refused = [...own, ...foreign].sort((a, b) => a.index - b.index)
    reply.counted(part.ids?.[0] ?? 0, refused)
  }
}
