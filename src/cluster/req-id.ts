// Whether a frame may have a `reqId` that a peek does not see: clients write it near an end of the frame.
//
// A hit costs a full scan, a miss means that a failure of this one command, if its owner dies, is answered
// without its `reqId`. So the middle of a long frame, where the jobs are, is not searched.

import type { Command } from '../engine/command.ts'

const HEAD_BYTES = 192
const TAIL_BYTES = 96
const LETTER_D = 0x64
const LETTER_I = 0x49
const LETTER_Q = 0x71

/** Raw JSON of the command's reqId, a character per byte; '' when it has none. */
export function reqIdOf({ bytes, reqIdFrom, reqIdTo }: Command): string {
  return reqIdFrom < 0 ? '' : bytes.toString('latin1', reqIdFrom, reqIdTo)
}

export function findReqId(bytes: Buffer, from: number, to: number): boolean {
  if (to - from <= HEAD_BYTES + TAIL_BYTES) return occurs(bytes, from, to)
  return occurs(bytes, from, from + HEAD_BYTES) || occurs(bytes, to - TAIL_BYTES, to)
}

/** Looks for `qId`; by hand, because for so few bytes a call into the runtime costs more than it finds. */
function occurs(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from + 1; i < to - 1; i++) {
    if (bytes[i] === LETTER_I && bytes[i - 1] === LETTER_Q && bytes[i + 1] === LETTER_D) return true
  }
  return false
}
