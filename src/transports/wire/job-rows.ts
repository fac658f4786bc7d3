// The jobs of a PUSH or PUSHB, from bytes to rows of the job table.
//
//   "jobs" : [ {"data":{…}} , {"data":{…},"priority":5} ]
//              └─ row 0: the extent of data, flags 0; done at once   └─ row 1: key by key
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
} from '../../engine/job-table.ts'
import { limits } from '../../engine/limits.ts'
import { Field, findField, holdsEscape, jobFields, lowestField } from './fields.ts'
import { decodedBytes, type FrameFields, uintOf } from './frame-fields.ts'
import { FAIL, failedDeep, skipBlanks, skipColon, skipString, skipValue } from './json-scanner.ts'

const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
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

/** PUSHB's `jobs`, whose value starts at `start`, into `table`. Returns where it ends, or FAIL with a problem. */
export function scanJobs(fields: FrameFields, start: number, to: number, table: JobTable): number {
  const { bytes } = fields
  table.count = 0
  table.flagsSeen = 0
  if (bytes[start] !== OPEN_ARRAY) return failList(fields)
  let i = skipBlanks(bytes, start + 1, to)
  if (bytes[i] === CLOSE_ARRAY) return i + 1
  for (let row = 0; ; row++) {
    if (row === limits.batchMax) return failBatch(fields)
    i = scanJob(fields, i, to, table, row)
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
    if (end < 0) return failValue(fields, row)
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
  const end = skipValue(bytes, from, to, limits.jsonDepthMax)
  if (end < 0) return failValue(fields, row)
  const field = findField(bytes, start + 1, keyEnd - 1)
  if (field === -1) return end
  const bit = (1 << field) & jobFields
  if (bit === 0) return end
  fields.jobIndex = row
  if ((seen & bit) !== 0) fields.duplicate(lowestField(bit))
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
  if (field === Field.data) {
    ints[base + IntColumn.dataFrom] = from
    ints[base + IntColumn.dataTo] = to
    return
  }
  let flags = 0
  if (field === Field.priority) {
    ints[base + IntColumn.priority] = fields.int32(field, from, to)
    flags = JobFlag.priority
  } else if (fields.bytes[from] !== LETTER_N) {
    flags = readOption(fields, field, from, to, table, row)
  }
  ints[base + IntColumn.flags] = (ints[base + IntColumn.flags] as number) | flags
}

/** An option that is not null; returns its flags. */
function readOption(
  fields: FrameFields,
  field: Field,
  from: number,
  to: number,
  table: JobTable,
  row: number,
): number {
  const { nums } = table
  const base = row * NUM_STRIDE
  switch (field) {
    case Field.delay:
      nums[base + NumColumn.delay] = fields.uintIn(field, from, to, limits.delayMsMax)
      return JobFlag.delay
    case Field.ttl:
      nums[base + NumColumn.ttl] = fields.uintIn(field, from, to, limits.ttlMsMax)
      return JobFlag.ttl
    case Field.timeout:
      nums[base + NumColumn.timeout] = fields.uintIn(field, from, to, limits.timeoutMsMax)
      return JobFlag.timeout
    case Field.max_attempts:
      nums[base + NumColumn.maxAttempts] = fields.uintIn(field, from, to, limits.attemptsMax)
      return JobFlag.maxAttempts
    case Field.backoff:
      nums[base + NumColumn.backoff] = fields.uintIn(field, from, to, limits.backoffMsMax)
      return JobFlag.backoff
    case Field.unique_key:
      return readKey(fields, from, to, table.ints, row * INT_STRIDE)
    case Field.depends_on:
      return readDependencies(fields, from, to, table.ints, row * INT_STRIDE)
    case Field.tags:
      return readTags(fields, from, to, table.ints, row * INT_STRIDE)
    default:
      return 0
  }
}

function readKey(
  fields: FrameFields,
  from: number,
  to: number,
  ints: Int32Array,
  base: number,
): number {
  const { bytes } = fields
  if (bytes[from] !== QUOTE) return fields.wrongType(Field.unique_key, 'a string')
  const max = limits.uniqueKeyBytesMax
  if (decodedBytes(bytes, from, to, max) > max) return fields.overLimit('bytes of unique_key', max)
  ints[base + IntColumn.keyFrom] = from + 1
  ints[base + IntColumn.keyTo] = to - 1
  const isEscaped = holdsEscape(bytes, from + 1, to - 1)
  return isEscaped ? JobFlag.uniqueKey | JobFlag.keyEscaped : JobFlag.uniqueKey
}

function readDependencies(
  fields: FrameFields,
  from: number,
  to: number,
  ints: Int32Array,
  base: number,
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
  ints[base + IntColumn.dependsFrom] = from
  ints[base + IntColumn.dependsTo] = to
  return count === 0 ? 0 : JobFlag.dependsOn
}

function readTags(
  fields: FrameFields,
  from: number,
  to: number,
  ints: Int32Array,
  base: number,
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
    if (decodedBytes(bytes, i, end, max) > max) return fields.overLimit('bytes of a tag', max)
    if (++count > limits.tagsMax) return fields.overLimit('elements of tags', limits.tagsMax)
    i = nextElement(bytes, end, to)
  }
  ints[base + IntColumn.tagsFrom] = from
  ints[base + IntColumn.tagsTo] = to
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

/** A value that `skipValue` refused: too deep, or not JSON, which the caller finds out for itself. */
function failValue(fields: FrameFields, row: number): typeof FAIL {
  if (failedDeep()) {
    fields.jobIndex = row
    fields.overLimit('nesting of a JSON value', limits.jsonDepthMax)
    fields.jobIndex = -1
    return FAIL
  }
  return failList(fields)
}
