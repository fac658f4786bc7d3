// Bytes to pack: records as clients make them, bytes without any order, and what fast-check makes of both.

import fc from 'fast-check'

/** Jobs as most clients send them: a number is what differs. */
export function jobs(count: number, first = 100_000): Buffer {
  const texts = Array.from(
    { length: count },
    (_, n) => `{"userId":${first + n},"action":"send","to":"recipient@example.com"}`,
  )
  return Buffer.from(texts.join())
}

/** Always the same ones. */
export function noise(length: number, seed = 1): Buffer {
  let state = seed
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return state >>> 16
    }),
  )
}

/** Pieces that come again after any distance, whole or cut, with other bytes between them. */
export const alikeBytes: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 90 }), { minLength: 1, maxLength: 5 }),
    fc.array(
      fc.record({ piece: fc.nat(4), times: fc.nat(40), cut: fc.nat(20), between: fc.nat(9) }),
      { maxLength: 60 },
    ),
    fc.nat(),
  )
  .map(([pieces, uses, seed]) => {
    const between = noise(10, seed)
    return Buffer.concat(
      uses.flatMap(({ piece, times, cut, between: more }) => {
        const bytes = pieces[piece % pieces.length] as Uint8Array
        const whole = Array.from({ length: times }, () => bytes)
        return [...whole, bytes.subarray(0, cut), between.subarray(0, more)]
      }),
    )
  })
