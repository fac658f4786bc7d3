// The kernel's JSON scanner: json-scanner.ts once more, with 16 bytes of a string at a time.
//
// 1. What it accepts is exactly what `skipValue` of json-scanner.ts accepts. 0 means "not accepted": it says neither
//    where nor why, JavaScript scans again and finds out.
// 2. The byte at `to` is `\n` or `\r`: it ends every string, number and literal. Only the skipping of blanks
//    compares an index with `to`.
// 3. Loads of 16 bytes reach beyond `to`; the memory goes on for longer than that behind all that is scanned.

import { noteHigh } from './memory.as'

const SPACE: u32 = 0x20
const QUOTE: u32 = 0x22
const PLUS: u32 = 0x2b
const COMMA: u32 = 0x2c
const MINUS: u32 = 0x2d
const POINT: u32 = 0x2e
const ZERO: u32 = 0x30
const COLON: u32 = 0x3a
const OPEN_ARRAY: u32 = 0x5b
const BACKSLASH: u32 = 0x5c
const CLOSE_ARRAY: u32 = 0x5d
const LETTER_A: u32 = 0x61
const LETTER_E: u32 = 0x65
const LETTER_U: u32 = 0x75
const OPEN_OBJECT: u32 = 0x7b
const CLOSE_OBJECT: u32 = 0x7d

/** "true", "null" and "fals" as they lie in memory. */
const TRUE: u32 = 0x6575_7274
const NULL: u32 = 0x6c6c_756e
const FALS: u32 = 0x736c_6166

/** Where the value that starts exactly at `start` ends, or 0. `depthMax`, at most 64, containers may be open at once. */
export function skipValue(start: usize, to: usize, depthMax: i32): usize {
  let i = start
  let depth = 0
  /** Of the open containers, the innermost one lowest: 1 for an array. */
  let kinds: u64 = 0
  while (true) {
    // A value starts at i.
    const c = byteAt(i)
    if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      if (depth === depthMax) return 0
      i = overBlanks(i + 1, to)
      const isArray = c === OPEN_ARRAY
      if (byteAt(i) === (isArray ? CLOSE_ARRAY : CLOSE_OBJECT)) {
        i++
      } else {
        depth++
        kinds = (kinds << 1) | u64(isArray)
        if (!isArray) i = skipKey(i, to)
        if (i === 0) return 0
        continue
      }
    } else {
      i = skipScalar(i)
      if (i === 0) return 0
    }
    // A value ended before i.
    while (true) {
      if (depth === 0) return i
      i = overBlanks(i, to)
      const next = byteAt(i)
      const isArray = (kinds & 1) !== 0
      if (next === COMMA) {
        i = overBlanks(i + 1, to)
        if (!isArray) i = skipKey(i, to)
        if (i === 0) return 0
        break
      }
      if (next !== (isArray ? CLOSE_ARRAY : CLOSE_OBJECT)) return 0
      i++
      depth--
      kinds >>= 1
    }
  }
}

/** From a key's opening quote to its value. */
function skipKey(start: usize, to: usize): usize {
  if (byteAt(start) !== QUOTE) return 0
  let i = skipString(start + 1)
  if (i === 0) return 0
  i = overBlanks(i, to)
  return byteAt(i) === COLON ? overBlanks(i + 1, to) : 0
}

/** A string, a number or a literal. */
export function skipScalar(start: usize): usize {
  const c = byteAt(start)
  if (c === QUOTE) return skipString(start + 1)
  if (isDigit(c) || c === MINUS) return skipNumber(start)
  const word = load<u32>(start)
  if (word === TRUE || word === NULL) return start + 4
  return word === FALS && byteAt(start + 4) === LETTER_E ? start + 5 : 0
}

/** From anywhere in a string but within an escape to behind its closing quote. */
export function skipString(start: usize): usize {
  let i = start
  while (true) {
    const bytes = v128.load(i)
    const isEnd = v128.or(
      i8x16.eq(bytes, i8x16.splat(0x22)),
      v128.or(i8x16.eq(bytes, i8x16.splat(0x5c)), i8x16.lt_u(bytes, i8x16.splat(0x20))),
    )
    const high = i8x16.bitmask(bytes)
    if (high !== 0) noteHigh(high)
    const ends = i8x16.bitmask(isEnd)
    if (ends === 0) {
      i += 16
      continue
    }
    i += ctz(ends)
    const c = byteAt(i)
    if (c === QUOTE) return i + 1
    if (c !== BACKSLASH) return 0
    i = skipEscape(i + 1)
    if (i === 0) return 0
  }
}

/** `start` is behind the backslash. */
function skipEscape(start: usize): usize {
  switch (byteAt(start)) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // slash
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return start + 1
    case LETTER_U:
      for (let i: usize = start + 1; i < start + 5; i++) {
        if (!isHexDigit(byteAt(i))) return 0
      }
      return start + 5
    default:
      return 0
  }
}

export function skipNumber(start: usize): usize {
  let i = byteAt(start) === MINUS ? start + 1 : start
  i = byteAt(i) === ZERO ? i + 1 : skipDigits(i)
  if (i !== 0 && byteAt(i) === POINT) i = skipDigits(i + 1)
  if (i === 0 || (byteAt(i) | 0x20) !== LETTER_E) return i
  const sign = byteAt(i + 1)
  return skipDigits(sign === PLUS || sign === MINUS ? i + 2 : i + 1)
}

/** At least one. */
function skipDigits(start: usize): usize {
  let i = start
  while (isDigit(byteAt(i))) i++
  return i === start ? 0 : i
}

/** The first byte from `start` on that is no blank; `to` at the furthest. */
export function overBlanks(start: usize, to: usize): usize {
  let i = start
  while (i < to && byteAt(i) <= SPACE && isBlank(byteAt(i))) i++
  return i
}

function isBlank(c: u32): bool {
  return c === SPACE || c === 0x0a || c === 0x0d || c === 0x09
}

export function isDigit(c: u32): bool {
  return c - ZERO < 10
}

function isHexDigit(c: u32): bool {
  return isDigit(c) || (c | 0x20) - LETTER_A < 6
}

export function byteAt(i: usize): u32 {
  return load<u8>(i)
}
