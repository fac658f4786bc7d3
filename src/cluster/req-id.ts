// Whether a frame may have a `reqId` that a peek does not see: clients write it near an end of the frame.
//
// A hit costs a full scan, a miss means that a failure of this one command, if its owner dies, is answered
// without its `reqId`. So the middle of a long frame, where the jobs are, is not searched.

const KEY = Buffer.from('"reqId"')
const HEAD_BYTES = 192
const TAIL_BYTES = 96

export function findReqId(bytes: Buffer, from: number, to: number): boolean {
  if (to - from <= HEAD_BYTES + TAIL_BYTES) return occurs(bytes, from, to)
  return occurs(bytes, from, from + HEAD_BYTES) || occurs(bytes, to - TAIL_BYTES, to)
}

function occurs(bytes: Buffer, from: number, to: number): boolean {
  return bytes.subarray(from, to).includes(KEY)
}
