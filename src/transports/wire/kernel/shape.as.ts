// Values of the same shape: what one client sends are jobs of the same keys with other values. The shape of a value
// that was accepted is kept, and the next one is compared with it, 32 bytes at a time.
//
//   value    {"userId":100001,"to":"ann@example.com"}
//   low      {"userId":100000,"to":"               "}     byte by byte: the least that may stand here,
//   span     0000000000899999000000  (223 each)   000     and how much more it may be
//
// 1. A byte fits when it is within its range, and in a string also no quote and no backslash. So a value of which
//    all bytes fit has the same tokens as the shape, each of them valid: it is JSON, as deep as the shape is.
// 2. Where a byte does not fit, the value's token at that place may only be longer, shorter or of another kind: it is
//    scanned by itself, and the comparison goes on behind it, and behind the shape's token. Keys and all between tokens
//    must be the same.
// 3. A shape has no byte below 0x20, so nothing matches beyond `to` (a `\n` or `\r`), and no escapes.
// 4. There are a few shapes; the first bytes of a value say which one it is compared with. One that mostly does not
//    fit is replaced, at ever longer intervals, so that jobs of no shape do not pay for learning.
//
//   a shape   [ length patience misses hits ]  low[]  span[]  tokenFrom[] (u16)  tokenTo[] (u16)

import { noteHigh, SHAPES } from './memory.as'
import {
  byteAt,
  isDigit,
  overBlanks,
  skipNumber,
  skipScalar,
  skipString,
  skipValue,
} from './value.as'

/** Longer values have no shape. */
const LENGTH_MAX: usize = 2048
const CELLS: usize = LENGTH_MAX + 32
const SHAPE_BITS: u32 = 3
const PATIENCE: usize = 4
const MISSES: usize = 8
const HITS: usize = 12
const LOW: usize = 32
const SPAN: usize = LOW + CELLS
const TOKEN_FROM: usize = SPAN + CELLS
const TOKEN_TO: usize = TOKEN_FROM + 2 * CELLS
const SHAPE_BYTES: usize = TOKEN_TO + 2 * CELLS

const PATIENCE_MAX: i32 = 256
/** So many values that fit make a shape worth learning again. */
const HITS_TRUSTED: i32 = 16

/** In `tokenFrom`: not a token whose value may differ; inside of a string, which can be scanned on from anywhere. */
const FIXED: usize = 0xffff
const IN_STRING: usize = 0xfffe

const QUOTE: u32 = 0x22
const COLON: u32 = 0x3a
const MINUS: u32 = 0x2d
const ZERO: u32 = 0x30
const OPEN_ARRAY: u32 = 0x5b
const BACKSLASH: u32 = 0x5c
const LETTER_A: u32 = 0x61
const LETTER_Z: u32 = 0x7a
const OPEN_OBJECT: u32 = 0x7b

/** What `skipValue` says, mostly in less time. */
export function skipAlike(start: usize, to: usize, depthMax: i32): usize {
  const shape = shapeOf(load<u32>(start))
  const alike = match(shape, start)
  if (alike !== 0 && alike <= to) {
    const hits = load<i32>(shape, HITS) + 1
    store<i32>(shape, hits, HITS)
    return alike
  }
  const end = skipValue(start, to, depthMax)
  if (end !== 0 && isWorthAShape(byteAt(start))) missed(shape, start, end)
  return end
}

/** A number ends where another byte follows, so one alone says nothing about the next. */
function isWorthAShape(first: u32): bool {
  return first === OPEN_OBJECT || first === OPEN_ARRAY || first === QUOTE
}

function shapeOf(firstBytes: u32): usize {
  return SHAPES + usize((firstBytes * 0x9e37_79b1) >> (32 - SHAPE_BITS)) * SHAPE_BYTES
}

/** As if nothing had been scanned before. For tests. */
export function forgetShapes(): void {
  for (let n: usize = 0; n < 1 << SHAPE_BITS; n++) memory.fill(SHAPES + n * SHAPE_BYTES, 0, LOW)
}

function match(shape: usize, start: usize): usize {
  const length: usize = load<u32>(shape)
  if (length === 0) return 0
  let all = i8x16.splat(0)
  let i = start
  /** Always the place in the shape that `i` is compared with. */
  let at: usize = 0
  /** From here on in the shape, `i` and `at` have kept step. */
  let inStep: usize = 0
  while (at < length) {
    const first = misfitsOf(shape + at, i)
    const second = misfitsOf(shape + at + 16, i + 16)
    all = v128.or(all, v128.or(v128.load(i), v128.load(i, 16)))
    if (!v128.any_true(v128.or(first, second))) {
      i += 32
      at += 32
      continue
    }
    let misfits = maskOf(first)
    if (misfits === 0) misfits = maskOf(second) << 16
    i += ctz(misfits)
    at += ctz(misfits)
    if (at >= length) break
    const from: usize = load<u16>(shape + 2 * at, TOKEN_FROM)
    if (from === FIXED) return 0
    const to: usize = load<u16>(shape + 2 * at, TOKEN_TO)
    // Behind a number that was scanned by itself: nothing is left of it to go on.
    if (from !== IN_STRING && from < inStep) return 0
    const end = from === IN_STRING ? skipString(i) : skipScalar(i - (at - from))
    // Behind a number that did not go on: something else than what the shape has.
    if (end === 0 || (end === i && to === at)) return 0
    i = end
    at = to
    inStep = to
  }
  const end = i - (at - length)
  // They may lie behind the value.
  if (i8x16.bitmask(all) !== 0) noteHigh(highWithin(start, end))
  return end
}

function highWithin(start: usize, end: usize): i32 {
  let high = 0
  let i = start
  for (; i + 16 <= end; i += 16) high |= i8x16.bitmask(v128.load(i))
  return high | (i8x16.bitmask(v128.load(i)) & ((1 << i32(end - i)) - 1))
}

/** Not 0 for each byte that does not fit. */
function misfitsOf(cells: usize, i: usize): v128 {
  const bytes = v128.load(i)
  const above = i8x16.sub(bytes, v128.load(cells, LOW))
  const beyond = i8x16.sub_sat_u(above, v128.load(cells, SPAN))
  const isSpecial = v128.or(i8x16.eq(bytes, i8x16.splat(0x22)), i8x16.eq(bytes, i8x16.splat(0x5c)))
  // A quote or backslash that stands in the shape is not above it.
  return v128.or(beyond, v128.and(isSpecial, above))
}

function maskOf(misfits: v128): u32 {
  return i8x16.bitmask(i8x16.eq(misfits, i8x16.splat(0))) ^ 0xffff
}

/** A value did not fit; it is `start..end`. */
function missed(shape: usize, start: usize, end: usize): void {
  const hits = load<i32>(shape, HITS)
  let patience = load<i32>(shape, PATIENCE)
  if (hits >= HITS_TRUSTED) {
    patience = 0
    store<i32>(shape, 0, HITS)
  }
  const misses = load<i32>(shape, MISSES) + 1
  if (misses > patience) {
    learn(shape, start, end)
    store<i32>(shape, min(2 * patience + 1, PATIENCE_MAX), PATIENCE)
    store<i32>(shape, 0, MISSES)
    store<i32>(shape, 0, HITS)
  } else {
    store<i32>(shape, patience, PATIENCE)
    store<i32>(shape, misses, MISSES)
  }
}

/** `start..end` is a valid value. It becomes the shape, unless it is one that cannot. */
function learn(shape: usize, start: usize, end: usize): void {
  store<u32>(shape, 0)
  if (end - start > LENGTH_MAX) return
  let i = start
  while (i < end) {
    const c = byteAt(i)
    const at = i - start
    if (c < 0x20) return
    if (c === QUOTE) {
      i = learnString(shape, i, at, end)
    } else if (isDigit(c) || c === MINUS) {
      i = learnNumber(shape, i, at)
    } else if (c >= LETTER_A && c <= LETTER_Z) {
      const next = skipScalar(i)
      for (let n: usize = 0; n < next - i; n++) {
        put(shape, at + n, byteAt(i + n), 0, at, at + next - i)
      }
      i = next
    } else {
      put(shape, at, c, 0, FIXED, 0)
      i++
    }
    if (i === 0) return
  }
  const length = end - start
  for (let n: usize = 0; n < 32; n++) put(shape, length + n, 0, 0xff, FIXED, 0)
  store<u32>(shape, u32(length))
}

function learnString(shape: usize, start: usize, at: usize, valueEnd: usize): usize {
  const end = skipString(start + 1)
  const length = end - start
  const isKey = byteAt(overBlanks(end, valueEnd)) === COLON
  for (let n: usize = 0; n < length; n++) {
    const c = byteAt(start + n)
    if (c === BACKSLASH) return 0
    if (isKey) put(shape, at + n, c, 0, FIXED, 0)
    else if (n === 0) put(shape, at, c, 0, at, at + length)
    else if (n === length - 1) put(shape, at + n, c, 0, IN_STRING, at + length)
    else put(shape, at + n, 0x20, 0xdf, IN_STRING, at + length)
  }
  return end
}

/** And the byte behind it: where the shape's number ends, a longer one goes on. */
function learnNumber(shape: usize, start: usize, at: usize): usize {
  const end = skipNumber(start)
  const length = end - start
  const int: usize = byteAt(start) === MINUS ? 1 : 0
  const isLong = isDigit(byteAt(start + int + 1))
  for (let n: usize = 0; n < length; n++) {
    const c = byteAt(start + n)
    // A number of several digits is not led by a zero.
    const least: u32 = n === int && isLong ? ZERO + 1 : ZERO
    const isFixed = !isDigit(c)
    put(shape, at + n, isFixed ? c : least, isFixed ? 0 : ZERO + 9 - least, at, at + length)
  }
  const next = byteAt(end)
  if (next < 0x20) return 0
  put(shape, at + length, next, 0, at, at + length)
  return end + 1
}

function put(shape: usize, at: usize, low: u32, span: u32, from: usize, to: usize): void {
  store<u8>(shape + at, low, LOW)
  store<u8>(shape + at, span, SPAN)
  store<u16>(shape + 2 * at, u16(from), TOKEN_FROM)
  store<u16>(shape + 2 * at, u16(to), TOKEN_TO)
}
