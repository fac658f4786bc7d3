// A frame becomes a command.
//
//   In:   the bytes of one frame            (framer.ts; HTTP and gRPC with their bodies)
//   Out:  a Command: op, queue or id, numbers, extents; or a Refusal
//   Next: the router, src/cluster/router.ts
//
// 1. One pass: it validates the JSON and notes where the fields are; then the fields of this op are read by type.
//    Lists (`jobs`, `ids`, …) are read as they are passed when `cmd` has come before them, otherwise afterwards.
// 2. What is refused for its JSON is refused as that; only then UTF-8, `cmd`, duplicates, missing and wrong fields.
// 3. `into.reqId…` is set when a good `reqId` was passed, also when the frame is refused.
// 4. The byte at `to` should be `\n` or `\r`, as the framer leaves it. Otherwise the frame is copied, and
//    `into.bytes` and all extents are those of the copy.

import { isUtf8 } from 'node:buffer'
import type { Command } from '../../engine/command.ts'
import { limits } from '../../engine/limits.ts'
import { Op } from '../../engine/op.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { readCommand } from './command-fields.ts'
import {
  Field,
  findField,
  findOp,
  isCommon,
  knownOf,
  lowestField,
  RARE_FROM,
  rareKnownOf,
  rareRequiredOf,
  requiredOf,
} from './fields.ts'
import { FrameFields, isReqId } from './frame-fields.ts'
import { listCount, scanResults, scanUints } from './id-lists.ts'
import { scanJobs } from './job-rows.ts'
import {
  clearHighBytes,
  FAIL,
  failAt,
  failedAt,
  failedDeep,
  hasSentinel,
  sawHighBytes,
  skipBlanks,
  skipColon,
  skipString,
  skipValue,
  withSentinel,
} from './json-scanner.ts'
import { decode } from './json-string.ts'
import { skipLong } from './kernel-rows.ts'

const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const LETTER_N = 0x6e
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const CMD_AND_REQ_ID = (1 << Field.cmd) | (1 << Field.reqId)
const LISTS = (1 << Field.jobs) | (1 << Field.ids) | (1 << Field.tokens) | (1 << Field.results)

const VALUES = (1 << Field.data) | (1 << Field.result)

/** Where so much of a frame is left, a value of the client's is worth a call of the kernel. */
const LONG_BYTES = 256

/** What is shown of a client's text in a refusal. */
const SHOWN_MAX = 40

const fields = new FrameFields()

/** Fills `into` from `bytes[from..to)`, or says why it is no command. */
export function scanFrame(bytes: Buffer, from: number, to: number, into: Command): Refusal | null {
  if (!hasSentinel(bytes, to)) return scanFrame(withSentinel(bytes, from, to), 0, to - from, into)
  into.op = 0
  into.bytes = bytes
  into.reqIdFrom = -1
  into.reqIdTo = -1
  into.queue = ''
  fields.begin(bytes, from, to)
  clearHighBytes()
  const end = scanObject(from, to, into)
  if (end < 0) return refuseJson(bytes, from, to, into)
  if (sawHighBytes() && !isUtf8(bytes.subarray(from, to))) return refuseUtf8(into)
  return checkFields(into, to)
}

/** The one pass. Returns the end of the frame, or FAIL for what is no JSON object (or too deep). */
function scanObject(from: number, to: number, into: Command): number {
  const { bytes } = fields
  let i = skipBlanks(bytes, from, to)
  if (bytes[i] !== OPEN_OBJECT) return failAt(i)
  i = skipBlanks(bytes, i + 1, to)
  if (bytes[i] !== CLOSE_OBJECT) {
    for (;;) {
      if (bytes[i] !== QUOTE) return failAt(i)
      const keyEnd = skipString(bytes, i + 1)
      if (keyEnd < 0) return FAIL
      const field = findField(bytes, i + 1, keyEnd - 1)
      i = bytes[keyEnd] === COLON ? keyEnd + 1 : skipColon(bytes, keyEnd, to)
      if (i < 0) return FAIL
      if ((bytes[i] as number) <= SPACE) i = skipBlanks(bytes, i, to)
      i = scanField(field, i, to, into)
      if (i < 0) return FAIL
      if ((bytes[i] as number) <= SPACE) i = skipBlanks(bytes, i, to)
      if (bytes[i] !== COMMA) break
      i++
      if ((bytes[i] as number) <= SPACE) i = skipBlanks(bytes, i, to)
    }
    if (bytes[i] !== CLOSE_OBJECT) return failAt(i)
  }
  i = skipBlanks(bytes, i + 1, to)
  return i === to ? to : failAt(i)
}

/** One value, which is that of `field` (or of a key that no command has). Returns its end, or FAIL. */
function scanField(field: Field | -1, start: number, to: number, into: Command): number {
  if (!isCommon(field)) return scanOther(field, start, to)
  let end: number
  if (((1 << field) & LISTS) !== 0) end = scanListField(field, start, to, into)
  else if (((1 << field) & VALUES) === 0 || to - start < LONG_BYTES) {
    end = skipValue(fields.bytes, start, to, limits.jsonDepthMax)
  } else end = skipLong(fields.bytes, start, to)
  if (end < 0) return FAIL
  if (field === Field.cmd) readOp(start, end, into)
  else if (field === Field.reqId) readReqId(start, end, into)
  fields.put(field, start, end)
  return end
}

/** The value of a rare field, or of a key that no command has. */
function scanOther(field: Field | -1, start: number, to: number): number {
  const end = skipValue(fields.bytes, start, to, limits.jsonDepthMax)
  if (field !== -1 && end >= 0) fields.putRare(field, start, end)
  return end
}

function scanListField(field: Field, start: number, to: number, into: Command): number {
  const isKnown = ((1 << field) & (knownOf[into.op] as number)) !== 0
  const end = isKnown ? scanList(field, start, to, into) : FAIL
  // The list is broken as JSON or only as what it should be: the general scan tells.
  return end < 0 ? skipValue(fields.bytes, start, to, depthOf(field, into.op)) : end
}

/** Lists that wrap values of the client are not counted in the nesting of these. */
function depthOf(field: Field, op: Op | 0): number {
  if (op !== 0 && ((1 << field) & (knownOf[op] as number)) === 0) return limits.jsonDepthMax
  if (field === Field.jobs) return limits.jsonDepthMax + 2
  return field === Field.results ? limits.jsonDepthMax + 1 : limits.jsonDepthMax
}

/** A list of a command that is known. FAIL also for a null that is allowed: the general scan takes it. */
function scanList(field: Field, start: number, to: number, into: Command): number {
  if (field === Field.jobs) return scanJobs(fields, start, to, into.jobs)
  const isNull = fields.bytes[start] === LETTER_N
  if (isNull && (field !== Field.ids || into.op !== Op.ACKB)) return FAIL
  let end: number
  if (field === Field.ids) {
    end = scanUints(fields, field, start, to, false, into.ids)
    into.idCount = listCount()
  } else if (field === Field.tokens) {
    end = scanUints(fields, field, start, to, true, into.tokens)
    fields.tokenCount = listCount()
  } else {
    end = scanResults(fields, start, to, into.results)
    fields.resultCount = listCount()
  }
  return end
}

function readOp(start: number, end: number, into: Command): void {
  if ((fields.seen & (1 << Field.cmd)) !== 0 || fields.bytes[start] !== QUOTE) return
  into.op = findOp(fields.bytes, start + 1, end - 1)
  fields.listsBefore = fields.seen & LISTS
}

function readReqId(start: number, end: number, into: Command): void {
  if (!isReqId(fields.bytes, start, end)) {
    fields.wrongType(Field.reqId, `a string or an integer of at most ${limits.reqIdBytesMax} bytes`)
  } else if (into.reqIdFrom < 0) {
    into.reqIdFrom = start
    into.reqIdTo = end
  }
}

/** The frame is a JSON object: what it says, field by field. */
function checkFields(into: Command, to: number): Refusal | null {
  const { seen } = fields
  const { op } = into
  const problem = fields.problem
  fields.problem = null
  const repeated = fields.repeated & ((knownOf[op] as number) | CMD_AND_REQ_ID)
  if (repeated !== 0) fields.duplicate(lowestField(repeated))
  else if (op === 0) return refuseCmd()
  if (fields.rareSeen !== 0 || rareRequiredOf[op] !== 0) checkRare(op)
  const absent = (requiredOf[op] as number) & ~seen
  if (absent !== 0) fields.missing(lowestField(absent))
  if (fields.problem !== null) return fields.problem
  if (problem !== null) return problem
  for (let rest = fields.listsBefore & (knownOf[op] as number); rest !== 0; rest &= rest - 1) {
    const field = (31 - Math.clz32(rest & -rest)) as Field
    scanList(field, fields.from[field] as number, to, into)
  }
  readCommand(fields, into)
  return fields.problem
}

function checkRare(op: Op | 0): void {
  const { rareSeen } = fields
  const repeated = fields.rareRepeated & (rareKnownOf[op] as number)
  if (repeated !== 0) fields.duplicate(lowestField(repeated, RARE_FROM))
  const absent = (rareRequiredOf[op] as number) & ~rareSeen
  if (absent !== 0) fields.missing(lowestField(absent, RARE_FROM))
}

function refuseCmd(): Refusal | null {
  const { bytes } = fields
  const from = fields.from[Field.cmd] as number
  const to = fields.to[Field.cmd] as number
  if ((fields.seen & (1 << Field.cmd)) === 0) fields.missing('cmd')
  else if (bytes[from] !== QUOTE) fields.wrongType(Field.cmd, 'a string')
  else {
    const name = decode(bytes, from + 1, to - 1).slice(0, SHOWN_MAX)
    fields.fail(refusals.invalid(`unknown command ${JSON.stringify(name)}`))
  }
  return fields.problem
}

function refuseJson(bytes: Buffer, from: number, to: number, into: Command): Refusal {
  if (failedDeep()) return refusals.limitExceeded('nesting of a JSON value', limits.jsonDepthMax)
  if (!isUtf8(bytes.subarray(from, to))) return refuseUtf8(into)
  const at = failedAt()
  const c = bytes[at] as number
  if (at >= to) {
    return skipBlanks(bytes, from, to) === to
      ? refusals.invalid('empty line')
      : refusals.invalid(`JSON ends too early, at position ${to - from}`)
  }
  const shown = c > SPACE && c < 0x7f ? `'${String.fromCharCode(c)}'` : `byte ${c}`
  return refusals.invalid(`not a JSON object: unexpected ${shown} at position ${at - from}`)
}

function refuseUtf8(into: Command): Refusal {
  const { bytes, reqIdFrom, reqIdTo } = into
  if (reqIdFrom >= 0 && !isUtf8(bytes.subarray(reqIdFrom, reqIdTo))) {
    into.reqIdFrom = -1
    into.reqIdTo = -1
  }
  return refusals.invalid('not valid UTF-8')
}
