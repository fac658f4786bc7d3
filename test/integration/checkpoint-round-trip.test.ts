// Histories of a shard through PostgreSQL and back: the journal alone, checkpoints, and checkpoints of checkpoints.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dumpState } from '../../src/engine/state-dump.ts'
import { EngineHarness } from '../support/engine-harness.ts'
import { OwnPostgres } from '../support/own-postgres.ts'
import { type Database, migrated, PostgresShard } from '../support/postgres-shard.ts'
import { Player, playStep, steps } from '../support/shard-history.ts'

/** The one that has most of the made-up queues. */
const SHARD = 3

let postgres: OwnPostgres
let schemas = 0

beforeAll(async () => {
  postgres = await OwnPostgres.open({ settings: { fsync: 'off' } })
})
afterAll(() => postgres.destroy())

function freshDatabase(): Promise<Database> {
  return migrated({ url: postgres.url, schema: `round_trip_${++schemas}` })
}

/** A shard of the engine, and what PostgreSQL is told of it. */
class Followed {
  readonly engine = new EngineHarness({
    records: true,
    retention: { count: 6, ageMs: 700, bytes: 150 },
  })
  readonly player = new Player()
  readonly stored: PostgresShard
  private appended = 0

  constructor(stored: PostgresShard) {
    this.stored = stored
  }

  /** What the engine has recorded since the last time, as one batch. */
  async append(): Promise<void> {
    const records = this.engine.records[SHARD] ?? []
    if (records.length === this.appended) return
    await this.stored.append(records.slice(this.appended))
    this.appended = records.length
  }

  dump(): string {
    const shard = this.engine.shards[SHARD]
    return shard === undefined ? '' : dumpState(shard.state)
  }
}

describe('a shard in PostgreSQL', () => {
  it('comes back from the journal, and from checkpoints at any point, as its owner had it', async () => {
    const database = await freshDatabase()
    let checkpoints = 0
    await fc.assert(
      fc.asyncProperty(
        steps(120),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 2, max: 40 }),
        async (history, batchSteps, checkpointSteps) => {
          const stored = await PostgresShard.claim(database, SHARD)
          try {
            await forget(stored)
            const followed = new Followed(stored)
            for (const [i, step] of history.entries()) {
              playStep(followed.engine, followed.player, step)
              if (i % batchSteps === 0) await followed.append()
              if (i % checkpointSteps !== 0 || stored.position === 0) continue
              await followed.append()
              expect(await stored.checkpoint()).not.toBe('fenced')
              checkpoints++
            }
            await followed.append()
            if (stored.position === 0) return
            const recovered = await stored.load()
            expect(recovered.dump).toBe(followed.dump())
            expect(recovered.position).toBe(stored.position)
          } finally {
            await stored.close()
          }
        },
      ),
      { numRuns: 25 },
    )
    expect(checkpoints).toBeGreaterThan(25)
  })
})

/** As if nothing had ever been stored. */
async function forget(stored: PostgresShard): Promise<void> {
  await stored.rows(
    `truncate ${stored.table('journal')}, ${stored.table('job')}, ${stored.table('checkpoint')}`,
  )
  await stored.rows(`update ${stored.table('shard')} set generation = 0, covered = 0`)
}
