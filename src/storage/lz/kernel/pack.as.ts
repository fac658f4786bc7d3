// A piece into an LZ4 block: sequences of (token, literals, offset), each a match of earlier bytes behind literals.
//
//   token: literals << 4 | match - 4, 15 = more follows, in bytes that are added up until one is not 255
//   the last sequence has literals only; the last 5 bytes are literals, the last match begins 12 bytes before the end
//
// Jobs of one client look alike, so what follows a match mostly goes on like what followed its source, a few bytes
// (a number, a name) aside. So the first guess behind a match is the same distance again, of which 16 bytes are
// compared at once; only where that fails is the table asked.

import { copyLoosely, PACKED, PLAIN, TABLE, TABLE_BYTES } from './memory.as'

const HASH_BITS: u64 = 12
const MATCH_MIN: usize = 4
/** Attempts without a match until the steps become longer, as a power of two. */
const PATIENCE: u32 = 3
const LAST_LITERALS: usize = 5
const LAST_MATCH: usize = 12
/** Of one sequence besides its literals, when neither length needs more bytes. */
const SEQUENCE_BYTES: usize = 3

function slotOf(bytes: u64): usize {
  return TABLE + ((<usize>((bytes * 0x9e37_79b1_85eb_ca87) >> (64 - HASH_BITS))) << 1)
}

/** How many bytes at `a` are those at `b`, not counting any from `end` on; `b` is before `a`. */
function alike(a: usize, b: usize, end: usize): usize {
  const most = end - a
  let count: usize = 0
  while (count < most) {
    const mask = i8x16.bitmask(i8x16.eq(v128.load(a + count), v128.load(b + count)))
    if (mask !== 0xffff) return min(count + ctz(~mask), most)
    count += 16
  }
  return most
}

/** The rest of a length of which a token has said 15. */
function writeRest(to: usize, length: usize): usize {
  let at = to
  let rest = length
  while (rest >= 255) {
    store<u8>(at++, 255)
    rest -= 255
  }
  store<u8>(at, <u8>rest)
  return at + 1
}

/** Bytes of the block that the piece of `length` bytes becomes; 0 when they would be more than `most`. */
export function pack(length: usize, most: usize): usize {
  const end = PLAIN + length
  const outEnd = PACKED + most
  let anchor = PLAIN
  let out = PACKED
  if (length > LAST_MATCH) {
    const matchEnd = end - LAST_LITERALS
    const lastStart = end - LAST_MATCH
    memory.fill(TABLE, 0, TABLE_BYTES)
    let at = PLAIN + 1
    let attempts: u32 = 1 << PATIENCE
    while (at <= lastStart) {
      const here = load<u64>(at)
      const slot = slotOf(here)
      let source = PLAIN + <usize>load<u16>(slot)
      store<u16>(slot, <u16>(at - PLAIN))
      // Of the table's guesses only those of 8 bytes: shorter matches cost more time than they save room.
      if (load<u64>(source) !== here) {
        at += attempts++ >> PATIENCE
        continue
      }
      while (at > anchor && source > PLAIN && load<u8>(at - 1) === load<u8>(source - 1)) {
        at--
        source--
      }
      attempts = 1 << PATIENCE
      const distance = at - source
      for (;;) {
        const literals = at - anchor
        const match = alike(at + MATCH_MIN, at + MATCH_MIN - distance, matchEnd)
        // Two lengths, rounded up, each with its last byte.
        if (out + literals + SEQUENCE_BYTES + ((literals + match) >> 7) + 2 > outEnd) return 0
        out = writeSequence(out, anchor, literals, distance, match)
        at += MATCH_MIN + match
        anchor = at
        if (at > lastStart) break
        const before = at - 2
        store<u16>(slotOf(load<u64>(before)), <u16>(before - PLAIN))
        const skip = nextAlike(at, distance)
        if (skip > 12 || at + skip > lastStart) break
        at += skip
      }
    }
  }
  const literals = end - anchor
  if (out + literals + (literals >> 7) + 2 > outEnd) return 0
  const token = min(literals, 15)
  store<u8>(out++, <u8>(token << 4))
  if (token === 15) out = writeRest(out, literals - 15)
  memory.copy(out, anchor, literals)
  return out + literals - PACKED
}

/** Where within 16 bytes, at most 12, a stretch begins that is as it was so far before; more than 12 for nowhere. */
function nextAlike(at: usize, distance: usize): usize {
  const same = i8x16.bitmask(i8x16.eq(v128.load(at), v128.load(at - distance)))
  // 6 equal bytes, of which those behind the 16 are taken for granted.
  let from: u32 = <u32>same | 0x00ff_0000
  from &= from >> 1
  from &= from >> 2
  from &= from >> 2
  return <usize>ctz(from | 0x1_0000)
}

function writeSequence(
  to: usize,
  from: usize,
  literals: usize,
  distance: usize,
  match: usize,
): usize {
  const first = min(literals, 15)
  const second = min(match, 15)
  store<u8>(to, <u8>((first << 4) | second))
  let at = to + 1
  if (first === 15) at = writeRest(at, literals - 15)
  copyLoosely(at, from, literals)
  at += literals
  store<u16>(at, <u16>distance)
  at += 2
  return second === 15 ? writeRest(at, match - 15) : at
}
