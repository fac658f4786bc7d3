// The entry of the kernel: what JavaScript may call. Written in AssemblyScript, compiled by `make kernel` into
// ../kernel-bytes.ts; see docs/adr/0005-simd-kernel.md.

import { HIGH } from './memory.as'
import { skipAlike } from './shape.as'

export { scanIds } from './ids.as'
export { scanJobs } from './jobs.as'
export { forgetShapes } from './shape.as'

/** One value of a frame. */
export function skipData(start: usize, to: usize, depthMax: i32): usize {
  store<i32>(HIGH, 0)
  return skipAlike(start, to, depthMax)
}
