// Where things lie in the kernel's memory. `scan-kernel.ts` has the same numbers for JavaScript.
//
//   STATUS   [ stoppedAt state high flags ] what a call leaves besides its result
//   LIMITS   [ most ] × 6               the largest value of each option, written once by JavaScript
//   SHAPES   8 × SHAPE_BYTES            see shape.as.ts
//   ROWS     [ dataFrom dataTo flags - ] per job
//   VALUES   [ priority delay ttl timeout max_attempts backoff - - ] per job, valid where `flags` has the bit
//   IDS      f64 per id

export const STOPPED_AT: usize = 1024
export const STATE: usize = 1028
export const HIGH: usize = 1032
/** Of all jobs that the call has passed. */
export const FLAGS: usize = 1036
export const LIMITS: usize = 1056
export const SHAPES: usize = 2048
export const ROWS: usize = 112 * 1024
export const ROW_BYTES: usize = 16
export const VALUES: usize = 128 * 1024
export const VALUES_BYTES: usize = 32
export const IDS: usize = 160 * 1024

/** Not 0: a byte from 0x80 up was seen; whoever reads the frame must check its UTF-8. Perhaps one too many. */
export function noteHigh(mask: i32): void {
  store<i32>(HIGH, load<i32>(HIGH) | mask)
}
