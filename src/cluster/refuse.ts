// A refusal for a request of which only its slot and its reqId are left.

import { Command } from '../engine/command.ts'
import type { ReplySlot, WireCodec } from '../engine/ports.ts'
import type { Refusal } from '../engine/refusal.ts'

const NO_BYTES = Buffer.alloc(0)
/** Scratch: a reply copies what it needs of it. */
const command = new Command()

/** `reqId`: as `reqIdOf` gives it. */
export function refuse(codec: WireCodec, slot: ReplySlot, reqId: string, refusal: Refusal): void {
  command.bytes = reqId === '' ? NO_BYTES : Buffer.from(reqId, 'latin1')
  command.reqIdFrom = reqId === '' ? -1 : 0
  command.reqIdTo = command.bytes.length
  codec.reply(command, slot).refused(refusal)
}
