// A list of ids or tokens, as clients write it: `123,124, 125]`, numbers of 1 to 16 digits.
//
// 16 digits at a time: the digits of a number are moved to the end of a vector, zeros before them, and neighbours are
// joined: 16 numbers below 10, 8 below 100, 4 below 10^4, 2 below 10^8.
//
// Anything else (a blank before a comma, null, a number that is none or beyond 2^53 - 1) is left to id-lists.ts.

import { IDS, STATE, STOPPED_AT } from './memory.as'
import { byteAt, overBlanks } from './value.as'

const AT_ELEMENT: i32 = 0
const CLOSED: i32 = 2

const COMMA: u32 = 0x2c
const ZERO: u32 = 0x30
const CLOSE_ARRAY: u32 = 0x5d
const SAFE_MAX: u64 = 0x1f_ffff_ffff_ffff

/** From the first byte of element 0 on. Returns how many there are now. */
export function scanIds(from: usize, to: usize, base: usize, max: i32): i32 {
  let count = 0
  let i = from
  let state = AT_ELEMENT
  // Most ids have as many digits as the one before; then the processor need not wait for the length to go on.
  let length = 0
  let window = 0
  let order = i8x16.splat(0)
  while (count < max) {
    const digits = i8x16.sub(v128.load(i), i8x16.splat(0x30))
    const misfits = ~i8x16.bitmask(i8x16.lt_u(digits, i8x16.splat(10))) | 0x1_0000
    if ((misfits & window) !== 1 << length) {
      length = ctz(misfits)
      window = (2 << length) - 1
      order = toTheEnd(length)
      if (length === 0) break
    }
    if (length > 1 && byteAt(i) === ZERO) break
    const value = numberOf(i8x16.swizzle(digits, order))
    const c = byteAt(i + length)
    if (value > SAFE_MAX || (c !== COMMA && c !== CLOSE_ARRAY)) break
    store<f64>(IDS + 8 * usize(count), f64(i64(value)))
    count++
    i += length + 1
    if (c === CLOSE_ARRAY) {
      state = CLOSED
      break
    }
    i = overBlanks(i, to)
  }
  store<i32>(STOPPED_AT, i32(i - base))
  store<i32>(STATE, state)
  return count
}

/** Moves the first `length` bytes to the end, zeros before them. */
function toTheEnd(length: i32): v128 {
  const places = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
  return i8x16.sub(places, i8x16.splat(i8(16 - length)))
}

/** Of 16 digits. */
function numberOf(digits: v128): u64 {
  const tens = i16x8.mul(v128.and(digits, i16x8.splat(0xff)), i16x8.splat(10))
  const hundreds = i16x8.add(tens, i16x8.shr_u(digits, 8))
  const fours = i32x4.dot_i16x8_s(hundreds, i16x8(100, 1, 100, 1, 100, 1, 100, 1))
  const packed = i16x8.narrow_i32x4_u(fours, fours)
  const eights = i32x4.dot_i16x8_s(packed, i16x8(10000, 1, 10000, 1, 10000, 1, 10000, 1))
  return u64(i32x4.extract_lane(eights, 0)) * 100_000_000 + u64(i32x4.extract_lane(eights, 1))
}
