import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fillGaps, NOBODY, surpluses } from '../../../src/cluster/assignment.ts'

const SHARDS = 32
const WORKERS = 8
const nobody = new Array<number>(SHARDS).fill(NOBODY)

const workers = fc.uniqueArray(fc.nat(WORKERS - 1), { maxLength: WORKERS })
const owners = fc.array(fc.integer({ min: NOBODY, max: WORKERS - 1 }), {
  minLength: SHARDS,
  maxLength: SHARDS,
})

const share = (table: readonly number[], worker: number): number =>
  table.filter((owner) => owner === worker).length

describe('assignment', () => {
  it('gives everybody nearly the same at first', () => {
    fc.assert(
      fc.property(workers, (live) => {
        const table = fillGaps(nobody, live)
        const shares = live.map((worker) => share(table, worker))
        expect(Math.max(0, ...shares) - Math.min(SHARDS, ...shares)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('moves only what must move, and leaves no shard without an owner', () => {
    fc.assert(
      fc.property(owners, workers, (before, live) => {
        const after = fillGaps(before, live)
        for (let shard = 0; shard < SHARDS; shard++) {
          const owner = before[shard] as number
          if (live.includes(owner)) expect(after[shard]).toBe(owner)
          else if (live.length === 0) expect(after[shard]).toBe(NOBODY)
          else expect(live).toContain(after[shard])
        }
      }),
    )
  })

  it('gives the shards of the dead to those that have least', () => {
    fc.assert(
      fc.property(owners, workers, (before, live) => {
        const after = fillGaps(before, live)
        const mostGiven = Math.max(
          ...live
            .filter((worker) => share(after, worker) > share(before, worker))
            .map((worker) => share(after, worker)),
          0,
        )
        // Nobody who got a shard ends up with more than one above anybody else.
        for (const worker of live) expect(mostGiven - share(after, worker)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('after any deaths and returns, giving up the surplus evens it out', () => {
    fc.assert(
      fc.property(owners, workers, (before, live) => {
        const table = fillGaps(before, live)
        for (const [worker, count] of surpluses(table, live)) {
          for (let left = count, shard = 0; left > 0; shard++) {
            if (table[shard] !== worker) continue
            table[shard] = NOBODY
            left--
          }
        }
        const even = fillGaps(table, live)
        expect(surpluses(even, live).size).toBe(0)
        const shares = live.map((worker) => share(even, worker))
        expect(Math.max(0, ...shares) - Math.min(SHARDS, ...shares)).toBeLessThanOrEqual(1)
      }),
    )
  })
})
