// Moves the last few payloads out of slabs that are mostly dead, so that an old job never holds a slab.
//
// Not part of a shard's state: where payload bytes lie is nobody's business but the rows'.

import { RowFlag, rowOf } from './job-store.ts'
import type { ShardState } from './shard-state.ts'

/**
 * Looks at one sparse slab, and empties it if nothing in it has died since the last look: where jobs end in the order they
 * came, every slab is sparse for a while before it is dead, and moving what is left would be for nothing.
 */
export function tidyOneSlab(state: ShardState): void {
  const { payloads, jobs } = state
  const slabNo = payloads.sparse.shift()
  if (slabNo === undefined) return
  const slab = payloads.slab(slabNo)
  if (!slab.sealed || slab.live === 0 || slab.live * 4 > slab.bytes.length) return
  if (slab.live !== slab.liveSeen) {
    slab.liveSeen = slab.live
    payloads.sparse.push(slabNo)
    return
  }
  const { bytes } = slab
  const runs = slab.runs.slice()
  for (let at = 0; at < runs.length; at += 2) {
    const first = runs[at] as number
    for (let seq = first; seq < first + (runs[at + 1] as number); seq++) {
      const page = jobs.find(seq)
      if (page === undefined) continue
      const row = rowOf(seq)
      if (page.slab[row] === slabNo) {
        const from = page.from[row] as number
        const length = page.length[row] as number
        payloads.put(bytes, from, from + length, seq, 1)
        payloads.addLive(payloads.slabNo, length)
        page.slab[row] = payloads.slabNo
        page.from[row] = payloads.offset
        payloads.release(slabNo, length)
      }
      const { results } = page
      if (results === null || ((page.flags[row] as number) & RowFlag.result) === 0) continue
      if (results.slab[row] !== slabNo) continue
      const from = results.from[row] as number
      const length = results.length[row] as number
      payloads.put(bytes, from, from + length, seq, 1)
      payloads.addLive(payloads.slabNo, length)
      results.slab[row] = payloads.slabNo
      results.from[row] = payloads.offset
      payloads.release(slabNo, length)
    }
  }
}
