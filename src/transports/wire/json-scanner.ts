// JSON at the speed of its bytes: finds where a value ends, and that it is what JSON.parse would accept.
//
//   bytes   … "data" : { "a" : [ 1 , 2 ] } , …  \n
//                      ^ start              ^ returned end (exclusive)   ^ sentinel at `to`
//
// 1. The byte at `to` is `\n` or `\r` (the sentinel): it ends every string, number and literal, so only the
//    skipping of blanks compares an index with `to`, and no index runs past it.
// 2. No recursion, no allocation: what closes the open containers is on a fixed stack.
// 3. A result below 0 (`FAIL`) means failure; `failedAt` and `failedDeep` say where and why, until the next failure.
// 4. Bytes from 0x80 up are taken inside strings as they are, and noted in `sawHighBytes`; whoever called
//    `clearHighBytes` before then checks the UTF-8 of the whole frame at once (`isUtf8`), and only if needed.
//
// The grammar is RFC 8259's, as JSON.parse has it: any value at the top, duplicate keys allowed, a number of any
// size, lone surrogate escapes allowed.

import { isUtf8 } from 'node:buffer'
import { limits } from '../../engine/limits.ts'

export const FAIL = -1

const SPACE = 0x20
const QUOTE = 0x22
const PLUS = 0x2b
const COMMA = 0x2c
const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const LETTER_A = 0x61
const LETTER_E = 0x65
const LETTER_F = 0x66
const LETTER_L = 0x6c
const LETTER_N = 0x6e
const LETTER_R = 0x72
const LETTER_S = 0x73
const LETTER_T = 0x74
const LETTER_U = 0x75

/** ASCII that a string may hold as it is. */
const plain = new Uint8Array(256).fill(1, SPACE, 0x80)
plain[QUOTE] = 0
plain[BACKSLASH] = 0
/** The same and all bytes of longer UTF-8 sequences. */
const text = Uint8Array.from(plain).fill(1, 0x80)
const blank = tableOf(' \t\n\r')
const digit = tableOf('0123456789')
const hexDigit = tableOf('0123456789abcdefABCDEF')
/** What may follow a backslash, `u` left out. */
const escaped = tableOf('"\\/bfnrt')

/** Wrapping lists that the wire itself adds around a client's value: `jobs`, one of them, and its array. */
const WRAPPING_MAX = 2
const openClosers = new Uint8Array(limits.jsonDepthMax + WRAPPING_MAX + 1)

let lastFailedAt = 0
let lastFailedDeep = false
let highBytes = false

export const failedAt = (): number => lastFailedAt
/** The failure was nesting beyond `depthMax`, not syntax. */
export const failedDeep = (): boolean => lastFailedDeep
export const sawHighBytes = (): boolean => highBytes

export function clearHighBytes(): void {
  highBytes = false
}

/** Somebody else has passed strings that may hold such bytes. */
export function noteHighBytes(): void {
  highBytes = true
}

/**
 * Where the value that starts exactly at `start` ends, or FAIL. `depthMax` containers may be open at once.
 * Keys are scanned in line, in two places: with a function for them the scan took a fifth longer.
 */
export function skipValue(bytes: Buffer, start: number, to: number, depthMax: number): number {
  let i = start
  let depth = 0
  /** What closes the innermost open container. */
  let closer = 0
  /** Always `bytes[i]`. */
  let c = bytes[i] as number
  for (;;) {
    // A value starts at i.
    if (c === QUOTE) {
      i = skipPlain(bytes, i)
      i = bytes[i] === QUOTE ? i + 1 : stringTail(bytes, i)
      if (i < 0) return FAIL
      c = bytes[i] as number
    } else if (c === OPEN_OBJECT) {
      if (depth === depthMax) return tooDeep(i)
      c = bytes[++i] as number
      if (c <= SPACE) {
        i = skipBlanks(bytes, i, to)
        c = bytes[i] as number
      }
      if (c === QUOTE) {
        openClosers[depth++] = closer
        closer = CLOSE_OBJECT
        i = skipPlain(bytes, i)
        i = bytes[i] === QUOTE && bytes[i + 1] === COLON ? i + 2 : keyTail(bytes, i, to)
        if (i < 0) return FAIL
        c = bytes[i] as number
        if (c <= SPACE) {
          i = skipBlanks(bytes, i, to)
          c = bytes[i] as number
        }
        continue
      }
      if (c !== CLOSE_OBJECT) return failAt(i)
      c = bytes[++i] as number
    } else if (c === OPEN_ARRAY) {
      if (depth === depthMax) return tooDeep(i)
      c = bytes[++i] as number
      if (c <= SPACE) {
        i = skipBlanks(bytes, i, to)
        c = bytes[i] as number
      }
      if (c !== CLOSE_ARRAY) {
        openClosers[depth++] = closer
        closer = CLOSE_ARRAY
        continue
      }
      c = bytes[++i] as number
    } else {
      i = digit[c] === 1 || c === MINUS ? skipNumber(bytes, i) : skipLiteral(bytes, i)
      if (i < 0) return FAIL
      c = bytes[i] as number
    }
    // A value ended before i.
    while (depth > 0) {
      if (c === COMMA) {
        c = bytes[++i] as number
        if (c <= SPACE) {
          i = skipBlanks(bytes, i, to)
          c = bytes[i] as number
        }
        if (closer === CLOSE_ARRAY) break
        if (c !== QUOTE) return failAt(i)
        i = skipPlain(bytes, i)
        i = bytes[i] === QUOTE && bytes[i + 1] === COLON ? i + 2 : keyTail(bytes, i, to)
        if (i < 0) return FAIL
        c = bytes[i] as number
        if (c <= SPACE) {
          i = skipBlanks(bytes, i, to)
          c = bytes[i] as number
        }
        break
      }
      if (c === closer) {
        c = bytes[++i] as number
        closer = openClosers[--depth] as number
      } else {
        const next = skipBlanks(bytes, i, to)
        if (next === i) return failAt(i)
        i = next
        c = bytes[i] as number
      }
    }
    if (depth === 0) return i
  }
}

/** From anything unusual in a key, or behind it, to the colon and over it. */
function keyTail(bytes: Buffer, start: number, to: number): number {
  const end = stringTail(bytes, start)
  return end < 0 ? FAIL : skipColon(bytes, end, to)
}

/** Over the colon between a key and its value, and the blanks around it. */
export function skipColon(bytes: Buffer, start: number, to: number): number {
  let i = start
  if ((bytes[i] as number) <= SPACE) i = skipBlanks(bytes, i, to)
  if (bytes[i] !== COLON) return failAt(i)
  i++
  if ((bytes[i] as number) <= SPACE) i = skipBlanks(bytes, i, to)
  return i
}

/** The first byte from `start` on that is no blank; `to` at the furthest. */
export function skipBlanks(bytes: Buffer, start: number, to: number): number {
  let i = start
  while (i < to && blank[bytes[i] as number] === 1) i++
  return i
}

/** `start` is the first byte after the opening quote; returns the index after the closing one. */
export function skipString(bytes: Buffer, start: number): number {
  const i = skipPlain(bytes, start - 1)
  return bytes[i] === QUOTE ? i + 1 : stringTail(bytes, i)
}

/** The first byte after `before` that is not plain. Four steps a turn: it takes a fifth off the whole scan. */
function skipPlain(bytes: Buffer, before: number): number {
  let i = before
  for (;;) {
    if (plain[bytes[++i] as number] === 0) return i
    if (plain[bytes[++i] as number] === 0) return i
    if (plain[bytes[++i] as number] === 0) return i
    if (plain[bytes[++i] as number] === 0) return i
  }
}

/** The same for what may also be beyond ASCII. */
function skipText(bytes: Buffer, before: number): number {
  let i = before
  for (;;) {
    if (text[bytes[++i] as number] === 0) return i
    if (text[bytes[++i] as number] === 0) return i
    if (text[bytes[++i] as number] === 0) return i
    if (text[bytes[++i] as number] === 0) return i
  }
}

/** The rest of a string, from its first byte that is not plain. */
function stringTail(bytes: Buffer, start: number): number {
  let i = start
  for (;;) {
    const c = bytes[i] as number
    if (c === QUOTE) return i + 1
    if (c >= 0x80) {
      highBytes = true
      i = skipText(bytes, i)
    } else if (c === BACKSLASH) {
      i = skipEscape(bytes, i)
      if (i < 0) return FAIL
    } else if (plain[c] === 1) {
      i = skipPlain(bytes, i)
    } else {
      return failAt(i)
    }
  }
}

function skipEscape(bytes: Buffer, backslash: number): number {
  let i = backslash + 1
  const c = bytes[i] as number
  if (escaped[c] === 1) return i + 1
  if (c !== LETTER_U) return failAt(i)
  for (const end = i + 5; ++i < end; ) {
    if (hexDigit[bytes[i] as number] === 0) return failAt(i)
  }
  return i
}

function skipNumber(bytes: Buffer, start: number): number {
  let i = start
  if (bytes[i] === MINUS) i++
  if (bytes[i] === ZERO) {
    i++
  } else {
    if (digit[bytes[i] as number] === 0) return failAt(i)
    do i++
    while (digit[bytes[i] as number] === 1)
  }
  const c = bytes[i] as number
  return c === POINT || (c | 0x20) === LETTER_E ? numberTail(bytes, i) : i
}

/** Fraction and exponent. */
function numberTail(bytes: Buffer, start: number): number {
  let i = start
  if (bytes[i] === POINT) {
    i++
    if (digit[bytes[i] as number] === 0) return failAt(i)
    do i++
    while (digit[bytes[i] as number] === 1)
  }
  if (((bytes[i] as number) | 0x20) !== LETTER_E) return i
  i++
  if (bytes[i] === PLUS || bytes[i] === MINUS) i++
  if (digit[bytes[i] as number] === 0) return failAt(i)
  do i++
  while (digit[bytes[i] as number] === 1)
  return i
}

function skipLiteral(bytes: Buffer, start: number): number {
  switch (bytes[start]) {
    case LETTER_T:
      if (!isNext(bytes, start, LETTER_R, LETTER_U, LETTER_E)) return failAt(start)
      return start + 4
    case LETTER_N:
      if (!isNext(bytes, start, LETTER_U, LETTER_L, LETTER_L)) return failAt(start)
      return start + 4
    case LETTER_F:
      if (!isNext(bytes, start, LETTER_A, LETTER_L, LETTER_S)) return failAt(start)
      return bytes[start + 4] === LETTER_E ? start + 5 : failAt(start)
    default:
      return failAt(start)
  }
}

/** Each byte is read only when the one before was right, so nothing is read beyond the sentinel. */
function isNext(bytes: Buffer, start: number, a: number, b: number, c: number): boolean {
  return bytes[start + 1] === a && bytes[start + 2] === b && bytes[start + 3] === c
}

/**
 * -1 when `bytes[from..to)` is one JSON value (blanks around it allowed) in valid UTF-8; otherwise the index of the
 * first byte that is wrong (of the first byte at all when only the UTF-8 is).
 */
export function validateJson(
  bytes: Buffer,
  from: number,
  to: number,
  depthMax: number = limits.jsonDepthMax,
): number {
  if (!hasSentinel(bytes, to)) {
    const at = validateJson(withSentinel(bytes, from, to), 0, to - from, depthMax)
    return at < 0 ? at : at + from
  }
  clearHighBytes()
  const end = skipValue(bytes, skipBlanks(bytes, from, to), to, depthMax)
  if (end < 0) return lastFailedAt
  const rest = skipBlanks(bytes, end, to)
  if (rest < to) return rest
  return highBytes && !isUtf8(bytes.subarray(from, to)) ? from : -1
}

export function hasSentinel(bytes: Buffer, to: number): boolean {
  return to < bytes.length && (bytes[to] === 0x0a || bytes[to] === 0x0d)
}

/** A copy of `bytes[from..to)` that starts at 0 and has the sentinel. */
export function withSentinel(bytes: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.allocUnsafe(to - from + 1)
  bytes.copy(copy, 0, from, to)
  copy[to - from] = 0x0a
  return copy
}

/** Notes a syntax error at `i`. */
export function failAt(i: number): typeof FAIL {
  lastFailedAt = i
  lastFailedDeep = false
  return FAIL
}

function tooDeep(i: number): typeof FAIL {
  lastFailedAt = i
  lastFailedDeep = true
  return FAIL
}

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256)
  for (const character of characters) table[character.charCodeAt(0)] = 1
  return table
}
