// Where a frame goes, without reading all of it: the op and the routing key of a frame in the order that clients
// write it.
//
//   {"cmd":"PUSH","reqId":7,"queue":"mail", … not looked at …}
//          └ op    └ opt.           └ key
//
// 1. True only for a frame that `scan` either refuses or gives the same op and key: a key that comes twice is
//    refused there, so the first one decides. Anything unusual (blanks, escapes, other order) is false.
// 2. For `ids`, true only when all of them belong to one shard; `into.id` is the first.
// 3. Of `into` it fills op, bytes, reqId… and queue, id or name.

import type { Command } from '../../engine/command.ts'
import { limits } from '../../engine/limits.ts'
import { Op, type OpName, opNames, routeOf } from '../../engine/op.ts'
import { findOp } from './fields.ts'
import { idCells, NO_PLACE, placeWithin, Stopped, scanIdCells, stopped } from './scan-kernel.ts'
import { queueNames } from './string-cache.ts'

const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const ZERO = 0x30
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const CMD_KEY = Buffer.from('"cmd":"')
const REQ_ID_KEY = Buffer.from('"reqId":')
const QUEUE_KEY = Buffer.from('"queue":"')
const NAME_KEY = Buffer.from('"name":"')
const ID_KEY = Buffer.from('"id":')
const IDS_KEY = Buffer.from('"ids":[')

/** Up to so many digits a number cannot exceed 2^53 - 1. */
const SAFE_DIGITS = 15

const ByKey = { none: 0, queue: 1, id: 2, ids: 3, name: 4 } as const
const keyOf = Uint8Array.from(opNames, (name: OpName | undefined) => {
  const route = name === undefined ? 'every' : routeOf[name]
  return Object.hasOwn(ByKey, route) ? ByKey[route as keyof typeof ByKey] : ByKey.none
})

export function peekFrame(bytes: Buffer, from: number, to: number, into: Command): boolean {
  into.bytes = bytes
  into.reqIdFrom = -1
  into.reqIdTo = -1
  if (bytes[from] !== OPEN_OBJECT) return false
  let i = peekReqId(bytes, from + 1, into)
  if (!startsWith(bytes, i, CMD_KEY)) return false
  i += CMD_KEY.length
  const nameEnd = stringEnd(bytes, i)
  if (nameEnd < 0) return false
  const op = findOp(bytes, i, nameEnd)
  if (op === 0 || keyOf[op] === ByKey.none || bytes[nameEnd + 1] !== COMMA) return false
  into.op = op
  i = nameEnd + 2
  if (into.reqIdFrom < 0) i = peekReqId(bytes, i, into)
  return peekKey(bytes, i, to, into)
}

function peekKey(bytes: Buffer, i: number, to: number, into: Command): boolean {
  switch (keyOf[into.op]) {
    case ByKey.queue: {
      if (!startsWith(bytes, i, QUEUE_KEY)) return false
      const from = i + QUEUE_KEY.length
      const end = stringEnd(bytes, from)
      if (end <= from || end >= to) return false
      into.queue = queueNames.get(bytes, from, end)
      return true
    }
    case ByKey.name: {
      if (!startsWith(bytes, i, NAME_KEY)) return false
      const from = i + NAME_KEY.length
      const end = stringEnd(bytes, from)
      if (end <= from || end >= to) return false
      into.name = bytes.toString('utf8', from, end)
      return true
    }
    case ByKey.id:
      return peekId(bytes, i, to, into)
    default:
      return into.op === Op.ACKB || startsWith(bytes, i, IDS_KEY)
        ? peekIds(bytes, i, to, into)
        : peekId(bytes, i, to, into)
  }
}

function peekId(bytes: Buffer, start: number, to: number, into: Command): boolean {
  if (!startsWith(bytes, start, ID_KEY)) return false
  const from = start + ID_KEY.length
  const end = digitsEnd(bytes, from)
  if (end === from || end - from > SAFE_DIGITS || end >= to) return false
  if (bytes[end] !== COMMA && bytes[end] !== CLOSE_OBJECT) return false
  into.id = uintAt(bytes, from, end)
  return true
}

function peekIds(bytes: Buffer, start: number, to: number, into: Command): boolean {
  if (!startsWith(bytes, start, IDS_KEY)) return false
  const place = placeWithin(bytes)
  if (place !== NO_PLACE) return peekIdsInKernel(place, start + IDS_KEY.length, to, into)
  let first = -1
  let i = start + IDS_KEY.length
  for (let count = 0; count < limits.batchMax; count++) {
    const end = digitsEnd(bytes, i)
    if (end === i || end - i > SAFE_DIGITS || end >= to) return false
    const id = uintAt(bytes, i, end)
    if (first < 0) first = id
    else if (id % limits.shards !== first % limits.shards) return false
    if (bytes[end] === CLOSE_ARRAY) {
      into.id = first
      return true
    }
    if (bytes[end] !== COMMA) return false
    i = end + 1
  }
  return false
}

function peekIdsInKernel(place: number, from: number, to: number, into: Command): boolean {
  const count = scanIdCells(place, from, to)
  if (count === 0 || stopped() !== Stopped.closed) return false
  const first = idCells[0] as number
  for (let i = 1; i < count; i++) {
    const steps = ((idCells[i] as number) - first) / limits.shards
    if (steps !== Math.floor(steps)) return false
  }
  into.id = first
  return true
}

/** Over `"reqId":…,` if that is at `start`; `start` when it is not, or not as clients write it. */
function peekReqId(bytes: Buffer, start: number, into: Command): number {
  if (!startsWith(bytes, start, REQ_ID_KEY)) return start
  const from = start + REQ_ID_KEY.length
  let end: number
  if (bytes[from] === QUOTE) end = stringEnd(bytes, from + 1) + 1
  else end = digitsEnd(bytes, bytes[from] === MINUS ? from + 1 : from)
  if (end <= from || end - from > limits.reqIdBytesMax || bytes[end] !== COMMA) return start
  into.reqIdFrom = from
  into.reqIdTo = end
  return end + 1
}

/** The closing quote of a string without escapes; -1 when it holds one, or does not end. */
function stringEnd(bytes: Buffer, start: number): number {
  let i = start
  for (;;) {
    const c = bytes[i] as number
    if (c === QUOTE) return i
    // Written so that the undefined behind the last byte ends it too.
    if (!(c >= SPACE) || c === BACKSLASH) return -1
    i++
  }
}

function digitsEnd(bytes: Buffer, start: number): number {
  let i = start
  for (;;) {
    const digit = (bytes[i] as number) - ZERO
    if (!(digit >= 0 && digit <= 9)) return i
    i++
  }
}

function uintAt(bytes: Buffer, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) value = value * 10 + (bytes[i] as number) - ZERO
  return value
}

function startsWith(bytes: Buffer, at: number, piece: Buffer): boolean {
  for (let k = 0; k < piece.length; k++) {
    if (bytes[at + k] !== piece[k]) return false
  }
  return true
}
