// Histories of a shard through PostgreSQL and back: the journal alone, checkpoints, and checkpoints of checkpoints.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { FOLLOWED_SHARD, FollowedShard } from '../support/followed-shard.ts'
import { migrateDatabase, PostgresShard } from '../support/postgres-shard.ts'
import { playStep, steps } from '../support/shard-history.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await openTestDatabase()
  await migrateDatabase(database)
})
afterAll(() => database.drop())

describe('a shard in PostgreSQL', () => {
  it('comes back from the journal, and from checkpoints at any point, as its owner had it', async () => {
    let checkpoints = 0
    await fc.assert(
      fc.asyncProperty(
        steps(120),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 2, max: 40 }),
        async (history, batchSteps, checkpointSteps) => {
          const stored = await PostgresShard.claim(database, FOLLOWED_SHARD)
          try {
            await stored.forget()
            const followed = new FollowedShard(stored)
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
