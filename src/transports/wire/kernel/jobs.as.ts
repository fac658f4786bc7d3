// The jobs of a PUSHB, as far as they are written as most clients write them:
//
//   {"data":VALUE}    {"data":VALUE,"priority":5,"delay":1000}
//
// Anything else is left to job-rows.ts: another first key, an option that is no short number, one that comes twice, and
// all that is wrong. Extents are relative to `base`, the place of the frame's buffer in this memory.

import {
  FLAGS,
  HIGH,
  LIMITS,
  ROW_BYTES,
  ROWS,
  STATE,
  STOPPED_AT,
  VALUES,
  VALUES_BYTES,
} from './memory.as'
import { skipAlike } from './shape.as'
import { byteAt, isDigit, overBlanks } from './value.as'

/** Where a call stopped: at a job that it leaves to JavaScript, behind that job's `data`, behind the list. */
const AT_JOB: i32 = 0
const BEHIND_DATA: i32 = 1
const CLOSED: i32 = 2

/** `{"data":`, and the first bytes of the options, as they lie in memory. */
const HEAD: u64 = 0x3a22_6174_6164_227b
const PRIORITY: u64 = 0x7469_726f_6972_7022
const DELAY: u64 = 0x3a22_7961_6c65_6422
const TTL: u64 = 0x3a22_6c74_7422
const TIMEOUT: u64 = 0x7475_6f65_6d69_7422
const MAX_ATTEMPTS: u64 = 0x7474_615f_7861_6d22
const BACKOFF: u64 = 0x6666_6f6b_6361_6222
const SIX_BYTES: u64 = 0xffff_ffff_ffff

const SPACE: u32 = 0x20
const COMMA: u32 = 0x2c
const ZERO: u32 = 0x30
const COLON: u32 = 0x3a
const CLOSE_ARRAY: u32 = 0x5d
const CLOSE_OBJECT: u32 = 0x7d

/** `},` */
const NEXT_JOB: u32 = 0x2c7d

const SMALL_DIGITS: usize = 9

/** From the first byte of job `rowFrom` on. Returns how many rows there are now. */
export function scanJobs(
  from: usize,
  to: usize,
  base: usize,
  depthMax: i32,
  rowFrom: i32,
  rowMax: i32,
): i32 {
  let row = rowFrom
  let i = from
  let state = AT_JOB
  store<i32>(HIGH, 0)
  store<i32>(FLAGS, 0)
  while (row < rowMax) {
    if (load<u64>(i) !== HEAD) break
    const data = overBlanks(i + 8, to)
    const end = skipAlike(data, to, depthMax)
    if (end === 0) break
    const cells = ROWS + usize(row) * ROW_BYTES
    store<i32>(cells, i32(data - base))
    store<i32>(cells, i32(end - base), 4)
    store<i32>(cells, 0, 8)
    if (load<u16>(end) === NEXT_JOB) {
      row++
      i = overBlanks(end + 2, to)
      continue
    }
    const close = scanOptions(end, to, row)
    if (close === 0) {
      i = end
      state = BEHIND_DATA
      break
    }
    i = overBlanks(close + 1, to)
    const c = byteAt(i)
    if (c !== COMMA && c !== CLOSE_ARRAY) {
      i = end
      state = BEHIND_DATA
      break
    }
    row++
    i++
    if (c === CLOSE_ARRAY) {
      state = CLOSED
      break
    }
    i = overBlanks(i, to)
  }
  store<i32>(STOPPED_AT, i32(i - base))
  store<i32>(STATE, state)
  return row
}

/** From the end of `data` to the job's closing brace, or 0. */
function scanOptions(start: usize, to: usize, row: i32): usize {
  const values = VALUES + usize(row) * VALUES_BYTES
  let flags = 0
  let i = overBlanks(start, to)
  while (byteAt(i) === COMMA) {
    i = overBlanks(i + 1, to)
    const option = optionAt(i)
    if (option < 0 || (flags & (1 << option)) !== 0) return 0
    i = overBlanks(i + keyBytesOf(option), to)
    const first = i
    let value: u32 = 0
    while (isDigit(byteAt(i))) value = value * 10 + byteAt(i++) - ZERO
    const count = i - first
    // Ten digits may have overflowed `value`, but then there are too many.
    if (count === 0 || count > SMALL_DIGITS) return 0
    if (count > 1 && byteAt(first) === ZERO) return 0
    if (value > load<u32>(LIMITS + 4 * usize(option))) return 0
    store<u32>(values + 4 * usize(option), value)
    flags |= 1 << option
    if (byteAt(i) <= SPACE) i = overBlanks(i, to)
  }
  if (byteAt(i) !== CLOSE_OBJECT) return 0
  store<i32>(ROWS + usize(row) * ROW_BYTES, flags, 8)
  store<i32>(FLAGS, load<i32>(FLAGS) | flags)
  return i
}

/** Which option's key starts at the quote at `i`, its colon included; -1 for none of them. */
function optionAt(i: usize): i32 {
  const word = load<u64>(i)
  if (word === PRIORITY) return load<u16>(i + 8) === 0x2279 && byteAt(i + 10) === COLON ? 0 : -1
  if (word === DELAY) return 1
  if ((word & SIX_BYTES) === TTL) return 2
  if (word === TIMEOUT) return load<u16>(i + 8) === 0x3a22 ? 3 : -1
  if (word === MAX_ATTEMPTS) {
    const rest = load<u64>(i + 7)
    return rest === 0x3a22_7374_706d_6574 ? 4 : -1
  }
  if (word === BACKOFF) return load<u16>(i + 8) === 0x3a22 ? 5 : -1
  return -1
}

function keyBytesOf(option: i32): usize {
  switch (option) {
    case 0:
      return 11
    case 1:
      return 8
    case 2:
      return 6
    case 4:
      return 15
    default:
      return 10
  }
}
