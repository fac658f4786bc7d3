import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ShardTable } from '../../../src/cluster/shard-table.ts'

const NOW = Date.UTC(2026, 5, 1)

describe('shard table', () => {
  it('never grants a sequence twice, whatever dies and comes back', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('live' as const), live: fc.subarray([0, 1, 2]) }),
      fc.record({ kind: fc.constant('reserve' as const), shard: fc.nat(31) }),
      fc.record({ kind: fc.constant('release' as const), shard: fc.nat(31) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const table = new ShardTable(NOW)
        let live = [0, 1, 2]
        table.reassign(live)
        /** Per shard: the owner's epoch, and up to where anything was granted before it. */
        const seen = new Map<number, { epoch: number; grantedTo: number; before: number }>()
        const look = (): void => {
          for (const worker of live) {
            for (const { shard, firstSeq, reservedTo } of table.grantsOf(worker)) {
              const epoch = table.epochsNow()[shard] as number
              const known = seen.get(shard)
              const before = known?.epoch === epoch ? known.before : (known?.grantedTo ?? 0)
              expect(firstSeq).toBeGreaterThanOrEqual(before)
              expect(reservedTo).toBeGreaterThan(firstSeq)
              seen.set(shard, { epoch, grantedTo: reservedTo, before })
            }
          }
        }
        look()
        for (const each of steps) {
          if (each.kind === 'live') live = each.live
          else if (each.kind === 'reserve') {
            table.reserve(each.shard, table.ownersNow()[each.shard] as number, NOW)
          } else table.release(each.shard, table.ownersNow()[each.shard] as number)
          table.reassign(live)
          look()
        }
      }),
    )
  })

  it('starts above the ids of an earlier node', () => {
    const earlier = new ShardTable(NOW)
    earlier.reassign([0])
    const later = new ShardTable(NOW + 60_000)
    later.reassign([0])
    const first = (table: ShardTable): number => table.grantsOf(0)[0]?.firstSeq ?? 0
    expect(first(later) - first(earlier)).toBe(60 * 2 ** 18)
    expect(first(earlier)).toBeGreaterThan(0)
  })

  it('starts at 1 when the clock is before 2026', () => {
    const table = new ShardTable(0)
    table.reassign([0])
    expect(table.grantsOf(0)[0]?.firstSeq).toBe(1)
  })

  it('changes its version with every change, and only then', () => {
    const table = new ShardTable(NOW)
    const versions = [table.version]
    const change = (what: () => void): void => {
      what()
      versions.push(table.version)
    }
    change(() => table.reassign([0, 1]))
    change(() => table.reserve(3, 1, NOW))
    change(() => table.release(3, 1))
    change(() => table.reassign([0, 1]))
    expect(new Set(versions).size).toBe(5)
    const { version } = table
    table.reassign([0, 1])
    table.reserve(3, 0, NOW)
    table.release(3, 0)
    expect(table.version).toBe(version)
    expect(table.epochsNow()[3]).toBe(2)
  })

  it('knows no owner when nobody lives', () => {
    const table = new ShardTable(NOW)
    table.reassign([0])
    expect(table.shardsOf(0)).toHaveLength(32)
    expect(table.reassign([])).toEqual([])
    expect(table.shardsOf(0)).toEqual([])
    expect(table.reassign([0])).toHaveLength(32)
  })
})
