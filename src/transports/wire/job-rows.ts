// The jobs of a PUSH or PUSHB, from bytes to rows of the job table.
//
//   "jobs" : [ {"data":{…}} , {"data":{…},"priority":5} ]
//              └─ row 0: the extent of data, flags 0; done at once   └─ row 1: key by key
//
// The kernel (scan-kernel.ts) passes what it can; at a job that it cannot pass, this goes on.
//
// 1. `scanJobs` validates what it passes, so nothing is scanned twice. On anything wrong it returns FAIL with
//    `fields.problem` set, and its caller finds out whether the JSON itself is broken.
// 2. The size of `data` is that of its raw text, blanks included; whether it is too large is for the engine to say.
// 3. An option that is null, and a list that is empty, leave no flag: they are as if absent.

import {
  INT_STRIDE,
  IntColumn,
  JobFlag,
  type JobTable,
  NUM_STRIDE,
  NumColumn,
  TEXT_STRIDE,
  TextColumn,
} from '../../engine/job-table.ts'
import { limits } from '../../engine/limits.ts'
import { Field, findField, isCommon, jobFields, lowestField } from './fields.ts'
import { type FrameFields, uintOf } from './frame-fields.ts'
import { FAIL, skipBlanks, skipColon, skipString, skipValue } from './json-scanner.ts'
import { holdsEscape, isLongerThan } from './json-string.ts'
import { takeJobs } from './kernel-rows.ts'
import { NO_PLACE, placeOf, Stopped, stopped, stoppedAt } from './scan-kernel.ts'

const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const ZERO = 0x30
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const LETTER_A = 0x61
const LETTER_D = 0x64
const LETTER_N = 0x6e
const LETTER_T = 0x74
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const DATA_BIT = 1 << Field.data

/** Up to so many digits a number is within the 31 bits that are fast. */
const SMALL_DIGITS = 9

const NUMBERS =
  (1 << Field.priority) |
  (1 << Field.delay) |
  (1 << Field.ttl) |
  (1 << Field.timeout) |
  (1 << Field.max_attempts) |
  (1 << Field.backoff)

/** By field, for those that are numbers: the flag, the column of `nums`, the most it may be (0: no number). */
const flagOf = new Int32Array(32)
const columnOf = new Int32Array(32)
const maxOf = new Float64Array(32)
defineNumber(Field.priority, JobFlag.priority, 0, 0x7fff_ffff)
defineNumber(Field.delay, JobFlag.delay, NumColumn.delay, limits.delayMsMax)
defineNumber(Field.ttl, JobFlag.ttl, NumColumn.ttl, limits.ttlMsMax)
defineNumber(Field.timeout, JobFlag.timeout, NumColumn.timeout, limits.timeoutMsMax)
defineNumber(Field.max_attempts, JobFlag.maxAttempts, NumColumn.maxAttempts, limits.attemptsMax)
defineNumber(Field.backoff, JobFlag.backoff, NumColumn.backoff, limits.backoffMsMax)

function defineNumber(field: Field, flag: number, column: number, max: number): void {
  flagOf[field] = flag
  columnOf[field] = column
  maxOf[field] = max
}

/** PUSHB's `jobs`, whose value starts at `start`, into `table`. Returns where it ends, or FAIL with a problem. */
export function scanJobs(fields: FrameFields, start: number, to: number, table: JobTable): number {
  const { bytes } = fields
  table.count = 0
  table.flagsSeen = 0
  if (bytes[start] !== OPEN_ARRAY) return failList(fields)
  let i = skipBlanks(bytes, start + 1, to)
  if (bytes[i] === CLOSE_ARRAY) return i + 1
  const place = placeOf(bytes, i, to)
  for (let row = 0; ; row++) {
    seen = 0
    if (place !== NO_PLACE) {
      row = takeJobs(place, i, to, table, row)
      i = stoppedAt()
      if (stopped() === Stopped.closed) {
        table.count = row
        return i
      }
      if (stopped() === Stopped.behindData) seen = DATA_BIT
    }
    if (row === limits.batchMax) return failBatch(fields)
    i = seen === 0 ? scanJob(fields, i, to, table, row) : scanRest(fields, i, to, table, row)
    if (i < 0) return FAIL
    if ((bytes[i] as number) <= SPACE) i = skipBlanks(bytes, i, to)
    const c = bytes[i++]
    if (c === COMMA) {
      if ((bytes[i] as number) <= SPACE) i = skipBlanks(bytes, i, to)
      continue
    }
    if (c !== CLOSE_ARRAY) return failList(fields)
    table.count = row + 1
    return i
  }
}

function scanJob(
  fields: FrameFields,
  start: number,
  to: number,
  table: JobTable,
  row: number,
): number {
  const { bytes } = fields
  if (
    bytes[start] === OPEN_OBJECT &&
    bytes[start + 1] === QUOTE &&
    bytes[start + 2] === LETTER_D &&
    bytes[start + 3] === LETTER_A &&
    bytes[start + 4] === LETTER_T &&
    bytes[start + 5] === LETTER_A &&
    bytes[start + 6] === QUOTE &&
    bytes[start + 7] === COLON &&
    (bytes[start + 8] as number) > SPACE
  ) {
    const from = start + 8
    const end = skipValue(bytes, from, to, limits.jsonDepthMax)
    if (end < 0) return failList(fields)
    const { ints } = table
    const base = row * INT_STRIDE
    ints[base + IntColumn.dataFrom] = from
    ints[base + IntColumn.dataTo] = end
    ints[base + IntColumn.flags] = 0
    if (bytes[end] === CLOSE_OBJECT) return end + 1
    seen = DATA_BIT
    return scanRest(fields, end, to, table, row)
  }
  if (bytes[start] !== OPEN_OBJECT) return failList(fields)
  seen = 0
  table.ints[row * INT_STRIDE + IntColumn.flags] = 0
  const first = skipBlanks(bytes, start + 1, to)
  const isEmpty = bytes[first] === CLOSE_OBJECT
  return scanRest(fields, isEmpty ? first : scanKey(fields, first, to, table, row), to, table, row)
}

/** The fields seen in the job at hand. */
let seen = 0

/** The rest of a job, from the end of one of its values (or FAIL) to behind its closing brace. */
function scanRest(
  fields: FrameFields,
  start: number,
  to: number,
  table: JobTable,
  row: number,
): number {
  const { bytes } = fields
  let i = start
  for (;;) {
    if (i < 0) return FAIL
    if ((bytes[i] as number) <= SPACE) i = skipBlanks(bytes, i, to)
    const c = bytes[i]
    if (c === CLOSE_OBJECT) break
    if (c !== COMMA) return failList(fields)
    i = scanKey(fields, skipBlanks(bytes, i + 1, to), to, table, row)
  }
  if ((seen & DATA_BIT) === 0) {
    fields.jobIndex = row
    fields.missing('data')
    fields.jobIndex = -1
    return FAIL
  }
  table.flagsSeen |= table.ints[row * INT_STRIDE + IntColumn.flags] as number
  return i + 1
}

/** One key and its value; returns where the value ends. */
function scanKey(
  fields: FrameFields,
  start: number,
  to: number,
  table: JobTable,
  row: number,
): number {
  const { bytes } = fields
  if (bytes[start] !== QUOTE) return failList(fields)
  const keyEnd = skipString(bytes, start + 1)
  if (keyEnd < 0) return failList(fields)
  const from = skipColon(bytes, keyEnd, to)
  if (from < 0) return failList(fields)
  const field = findField(bytes, start + 1, keyEnd - 1)
  const bit = isCommon(field) ? (1 << field) & jobFields : 0
  if (bit === 0 || field === -1) {
    const end = skipValue(bytes, from, to, limits.jsonDepthMax)
    return end < 0 ? failList(fields) : end
  }
  const isFirst = (seen & bit) === 0
  if ((bit & NUMBERS) !== 0 && isFirst) {
    const end = scanSmallNumber(bytes, field, from, table, row)
    if (end >= 0) {
      seen |= bit
      return end
    }
  }
  const end = skipValue(bytes, from, to, limits.jsonDepthMax)
  if (end < 0) return failList(fields)
  fields.jobIndex = row
  if (!isFirst) fields.duplicate(lowestField(bit))
  seen |= bit
  readJobField(fields, field, from, end, table, row)
  fields.jobIndex = -1
  return fields.problem === null ? end : FAIL
}

/** PUSH: the one job, from fields that the frame's own scan has found. */
export function readJob(fields: FrameFields, table: JobTable): void {
  table.count = 1
  table.ints[IntColumn.flags] = 0
  for (let rest = fields.seen & jobFields; rest !== 0; rest &= rest - 1) {
    const field = (31 - Math.clz32(rest & -rest)) as Field
    readJobField(fields, field, fields.from[field] as number, fields.to[field] as number, table, 0)
  }
  table.flagsSeen = table.ints[IntColumn.flags] as number
}

/** A value that `skipValue` has passed. */
function readJobField(
  fields: FrameFields,
  field: Field,
  from: number,
  to: number,
  table: JobTable,
  row: number,
): void {
  const { ints } = table
  const base = row * INT_STRIDE
  let flags = 0
  if (field === Field.data) {
    ints[base + IntColumn.dataFrom] = from
    ints[base + IntColumn.dataTo] = to
  } else if (field === Field.priority) {
    ints[base + IntColumn.priority] = fields.int32(field, from, to)
    flags = JobFlag.priority
  } else if (fields.bytes[from] !== LETTER_N) {
    if (field === Field.unique_key) flags = readKey(fields, from, to, table, row)
    else if (field === Field.depends_on) flags = readDependencies(fields, from, to, table, row)
    else if (field === Field.tags) flags = readTags(fields, from, to, table, row)
    else {
      const value = fields.uintIn(field, from, to, maxOf[field] as number)
      table.nums[row * NUM_STRIDE + (columnOf[field] as number)] = value
      flags = flagOf[field] as number
    }
  }
  ints[base + IntColumn.flags] = (ints[base + IntColumn.flags] as number) | flags
}

/**
 * The value of a field that is a number, when it is written as most are: a few digits, then a comma or the end of
 * the job. Returns where it ends; FAIL for everything else, which is not yet wrong.
 */
function scanSmallNumber(
  bytes: Buffer,
  field: Field,
  from: number,
  table: JobTable,
  row: number,
): number {
  let i = from
  let value = 0
  let digit = (bytes[i] as number) - ZERO
  while (digit >= 0 && digit <= 9) {
    value = value * 10 + digit
    digit = (bytes[++i] as number) - ZERO
  }
  const count = i - from
  if (count === 0 || count > SMALL_DIGITS || value > (maxOf[field] as number)) return FAIL
  if (count > 1 && bytes[from] === ZERO) return FAIL
  if (bytes[i] !== COMMA && bytes[i] !== CLOSE_OBJECT) return FAIL
  const { ints } = table
  const base = row * INT_STRIDE
  if (field === Field.priority) ints[base + IntColumn.priority] = value
  else table.nums[row * NUM_STRIDE + (columnOf[field] as number)] = value
  ints[base + IntColumn.flags] =
    (ints[base + IntColumn.flags] as number) | (flagOf[field] as number)
  return i
}

function readKey(
  fields: FrameFields,
  from: number,
  to: number,
  { texts }: JobTable,
  row: number,
): number {
  const { bytes } = fields
  if (bytes[from] !== QUOTE) return fields.wrongType(Field.unique_key, 'a string')
  const max = limits.uniqueKeyBytesMax
  if (isLongerThan(max, bytes, from + 1, to - 1))
    return fields.overLimit('bytes of unique_key', max)
  texts[row * TEXT_STRIDE + TextColumn.keyFrom] = from + 1
  texts[row * TEXT_STRIDE + TextColumn.keyTo] = to - 1
  const isEscaped = holdsEscape(bytes, from + 1, to - 1)
  return isEscaped ? JobFlag.uniqueKey | JobFlag.keyEscaped : JobFlag.uniqueKey
}

function readDependencies(
  fields: FrameFields,
  from: number,
  to: number,
  { texts }: JobTable,
  row: number,
): number {
  const { bytes } = fields
  const expected = 'an array of job ids'
  if (bytes[from] !== OPEN_ARRAY) return fields.wrongType(Field.depends_on, expected)
  let count = 0
  let i = skipBlanks(bytes, from + 1, to)
  while (bytes[i] !== CLOSE_ARRAY) {
    const end = endOfWord(bytes, i)
    if (uintOf(bytes, i, end) < 0) return fields.wrongType(Field.depends_on, expected)
    if (++count > limits.dependenciesMax) {
      return fields.overLimit('elements of depends_on', limits.dependenciesMax)
    }
    i = nextElement(bytes, end, to)
  }
  texts[row * TEXT_STRIDE + TextColumn.dependsFrom] = from
  texts[row * TEXT_STRIDE + TextColumn.dependsTo] = to
  return count === 0 ? 0 : JobFlag.dependsOn
}

function readTags(
  fields: FrameFields,
  from: number,
  to: number,
  { texts }: JobTable,
  row: number,
): number {
  const { bytes } = fields
  const expected = 'an array of strings'
  if (bytes[from] !== OPEN_ARRAY) return fields.wrongType(Field.tags, expected)
  let count = 0
  let i = skipBlanks(bytes, from + 1, to)
  while (bytes[i] !== CLOSE_ARRAY) {
    if (bytes[i] !== QUOTE) return fields.wrongType(Field.tags, expected)
    const end = skipString(bytes, i + 1)
    const max = limits.tagBytesMax
    if (isLongerThan(max, bytes, i + 1, end - 1)) return fields.overLimit('bytes of a tag', max)
    if (++count > limits.tagsMax) return fields.overLimit('elements of tags', limits.tagsMax)
    i = nextElement(bytes, end, to)
  }
  texts[row * TEXT_STRIDE + TextColumn.tagsFrom] = from
  texts[row * TEXT_STRIDE + TextColumn.tagsTo] = to
  return count === 0 ? 0 : JobFlag.tags
}

/** The end of a number or of anything else that is no number. */
function endOfWord(bytes: Buffer, start: number): number {
  let i = start
  while (bytes[i] !== COMMA && bytes[i] !== CLOSE_ARRAY && (bytes[i] as number) > SPACE) i++
  return i
}

/** In a valid array: from the end of one element to the next one, or to the closing bracket. */
function nextElement(bytes: Buffer, end: number, to: number): number {
  const i = skipBlanks(bytes, end, to)
  return bytes[i] === COMMA ? skipBlanks(bytes, i + 1, to) : i
}

function failList(fields: FrameFields): typeof FAIL {
  fields.wrongType(Field.jobs, 'an array of objects')
  return FAIL
}

function failBatch(fields: FrameFields): typeof FAIL {
  fields.overLimit('jobs in a batch', limits.batchMax)
  return FAIL
}
