// A checkpoint at any point of a random history, read back, is the same state; so is a checkpoint with the records
// behind it; and from there on both go the same way.
//
// More of them: FLASHQ_RESTORE_RUNS=5000 npx vitest run test/property/shard-restore.test.ts

import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Restore } from '../../src/engine/restore.ts'
import type { Shard } from '../../src/engine/shard.ts'
import { tidyOneSlab } from '../../src/engine/shard-tidy.ts'
import { dumpState } from '../../src/engine/state-dump.ts'
import { EngineHarness } from '../support/engine-harness.ts'
import { batchOf, restoreOf, storedOf } from '../support/restored.ts'
import { Player, playStep, type Step, steps } from '../support/shard-history.ts'

const RUNS = Number(process.env['FLASHQ_RESTORE_RUNS'] ?? 60)

const retention = { count: 6, ageMs: 700, bytes: 150 }

interface Follower {
  readonly restore: Restore
  applied: number
}

/** One shard's followers, each from a checkpoint of another moment. */
class Followers {
  private readonly engine: EngineHarness
  private readonly shard: number
  private readonly all: Follower[] = []

  constructor(engine: EngineHarness, shard: number) {
    this.engine = engine
    this.shard = shard
  }

  checkpoint(seed: number): void {
    const { state } = this.engine.shards[this.shard] as Shard
    const restore = restoreOf(this.shard, storedOf(state), (count) => shuffled(count, seed))
    this.all.push({ restore, applied: this.engine.records[this.shard]?.length ?? 0 })
  }

  compare(): void {
    const dump = dumpState((this.engine.shards[this.shard] as Shard).state)
    const records = this.engine.records[this.shard] ?? []
    for (const follower of this.all) {
      follower.restore.batch(batchOf(records.slice(follower.applied)))
      follower.applied = records.length
      expect(dumpState(follower.restore.state)).toBe(dump)
      tidyOneSlab(follower.restore.state)
    }
  }

  /** A checkpoint of what was restored is the checkpoint of the owner, in one form for each. */
  compareCheckpoints(): void {
    const { state } = this.engine.shards[this.shard] as Shard
    const own = storedOf(state)
    for (const { restore } of this.all) {
      const again = restoreOf(this.shard, storedOf(restore.state)).state
      expect(dumpState(again)).toBe(dumpState(state))
      expect(storedOf(again).rows.map((row) => row.id)).toEqual(own.rows.map((row) => row.id))
    }
  }
}

/** In order, back to front, or from somewhere in the middle: as a table may be read. */
function shuffled(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i)
  if (seed % 3 === 0) return order
  if (seed % 3 === 1) return order.reverse()
  const from = count === 0 ? 0 : seed % count
  return [...order.slice(from), ...order.slice(0, from)]
}

function play(history: readonly Step[], checkpoints: readonly number[], everySteps: number): void {
  const engine = new EngineHarness({ records: true, retention })
  const player = new Player()
  const followers = engine.shards.map((shard) => new Followers(engine, shard.id))
  for (const [i, step] of history.entries()) {
    if (checkpoints.some((at) => at % history.length === i)) {
      for (const each of followers) each.checkpoint(step[0])
    }
    playStep(engine, player, step)
    if (i % everySteps === 0) for (const each of followers) each.compare()
  }
  for (const each of followers) each.compare()
  for (const each of followers) each.compareCheckpoints()
}

it('a checkpoint and the records behind it are the state, wherever it was made', () => {
  fc.assert(
    fc.property(
      steps(150),
      fc.array(fc.nat(9999), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 60 }),
      play,
    ),
    { numRuns: RUNS },
  )
}, 3_600_000)
