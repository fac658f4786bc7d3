// The frame of a pull that waits, kept so that it can be asked again at another worker.
//
// Most are kept as they came. What goes away is written anew, from what was understood of it: so its `wait` can be
// what is left of it, and a long frame full of what nobody asked for is not kept.

import { Command } from '../../engine/command.ts'
import { Op } from '../../engine/op.ts'
import type { WireCodec } from '../../engine/ports.ts'
import type { Slot } from './reply-queue.ts'

/** A longer frame is shortened at once. */
const AS_IT_CAME_BYTES_MAX = 1024
const NEWLINE = 0x0a

/** Scratch. */
const command = new Command()

/** A copy of `bytes[from..to)`, or of less that asks for the same, and a newline. */
export function keepPull(codec: WireCodec, bytes: Buffer, from: number, to: number): Buffer {
  if (to - from > AS_IT_CAME_BYTES_MAX) return writePull(codec, bytes, from, to, 0)
  const line = Buffer.allocUnsafe(to - from + 1)
  bytes.copy(line, 0, from, to)
  line[to - from] = NEWLINE
  return line
}

/** The frame of a pull that waits, with what is left of its `wait`. */
export function pullNow({ line, keptMs }: Slot, codec: WireCodec, nowMs: number): Buffer {
  if (line === null) throw new Error('a pull waits whose frame was not kept')
  return writePull(codec, line, 0, line.length - 1, nowMs - keptMs)
}

function writePull(
  codec: WireCodec,
  bytes: Buffer,
  from: number,
  to: number,
  passedMs: number,
): Buffer {
  const refusal = codec.scan(bytes, from, to, command)
  if (refusal !== null) throw new Error(`a pull that waits is none: ${refusal.text}`)
  const { op, reqIdFrom, reqIdTo, queue, count, waitMs, leaseMs } = command
  const many = op === Op.PULLB
  let text = `{"cmd":"${many ? 'PULLB' : 'PULL'}",`
  // As it came: a number may have more digits than JavaScript keeps.
  if (reqIdFrom >= 0) text += `"reqId":${command.bytes.toString('utf8', reqIdFrom, reqIdTo)},`
  text += `"queue":${JSON.stringify(queue)}`
  if (many) text += `,"count":${count}`
  if (waitMs >= 0) text += `,"wait":${Math.max(0, Math.floor(waitMs - passedMs))}`
  if (leaseMs > 0) text += `,"lease":${leaseMs}`
  if (command.wantsToken) text += ',"token":true'
  if (command.releaseOnClose) text += ',"release_on_close":true'
  return Buffer.from(`${text}}\n`)
}
