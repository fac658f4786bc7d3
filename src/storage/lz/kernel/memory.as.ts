// Where things lie in the memory of this kernel, and how bytes move in it. `../lz-kernel.ts` has the same numbers for JavaScript.
//
//   TABLE    u16 × 4096     for a hash of bytes, where in the piece they were seen last
//   PLAIN    64 KiB         the piece
//   PACKED   64 KiB         the block that it becomes, or is made of
//
// Loads and stores are 16 bytes wide and may pass the end of an area by so many: what lies there is nobody's.

export const TABLE: usize = 1024
export const TABLE_BYTES: usize = 8192
export const PLAIN: usize = 16 * 1024
export const PACKED: usize = 96 * 1024

/** Forward, in steps of 16: up to 16 bytes more than `length` are written, and `from` may be `to - 16` at the nearest. */
export function copyLoosely(to: usize, from: usize, length: usize): void {
  let at: usize = 0
  do {
    v128.store(to + at, v128.load(from + at))
    at += 16
  } while (at < length)
}
