// An LZ4 block into the piece that it was made of, whatever its bytes are: nothing beyond the areas is touched, and
// what is not the block of a piece of that length is refused. `../unpack.ts` does the same in JavaScript.

import { copyLoosely, PACKED, PLAIN } from './memory.as'

const MATCH_MIN: usize = 4

/** What the last `readRest` has read. */
let rest: usize = 0

/** The rest of a length of which a token has said 15. Returns where to read on, 0 when the block ends before. */
function readRest(from: usize, end: usize): usize {
  let at = from
  let byte: usize = 255
  rest = 0
  while (byte === 255) {
    if (at >= end) return 0
    byte = load<u8>(at++)
    rest += byte
  }
  return at
}

/** Whether a block of `packed` bytes is one of a piece of `length` bytes, which then lies in PLAIN. */
export function unpack(packed: usize, length: usize): bool {
  const inEnd = PACKED + packed
  const outEnd = PLAIN + length
  let at = PACKED
  let out = PLAIN
  while (at < inEnd) {
    const token = <usize>load<u8>(at++)
    let literals = token >> 4
    if (literals === 15) {
      at = readRest(at, inEnd)
      if (at === 0) return false
      literals += rest
    }
    if (literals > inEnd - at || literals > outEnd - out) return false
    copyLoosely(out, at, literals)
    at += literals
    out += literals
    if (at === inEnd) return out === outEnd
    if (inEnd - at < 2) return false
    const distance = <usize>load<u16>(at)
    at += 2
    if (distance === 0 || distance > out - PLAIN) return false
    let match = MATCH_MIN + (token & 15)
    if (match === MATCH_MIN + 15) {
      at = readRest(at, inEnd)
      if (at === 0) return false
      match += rest
    }
    if (match > outEnd - out) return false
    repeat(out, distance, match)
    out += match
  }
  return false
}

/** `length` bytes as those `distance` before, which they may overlap. */
function repeat(out: usize, distance: usize, length: usize): void {
  if (distance >= 16) return copyLoosely(out, out - distance, length)
  // The same bytes lie 16 or more before, too, as soon as some are written.
  let far = distance
  while (far < 16) far += distance
  const near = min(length, far - distance)
  for (let i: usize = 0; i < near; i++) store<u8>(out + i, load<u8>(out + i - distance))
  if (length > near) copyLoosely(out + near, out + near - far, length - near)
}
