// The records of a random history, read back, give the same state: at the end, and at every cut on the way.
//
// More of them: FLASHQ_REPLAY_RUNS=5000 npx vitest run test/property/shard-replay.test.ts

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Replay } from '../../src/engine/replay.ts'
import { ShardState } from '../../src/engine/shard-state.ts'
import { tidyOneSlab } from '../../src/engine/shard-tidy.ts'
import { dumpState } from '../../src/engine/state-dump.ts'
import { EngineHarness } from '../support/engine-harness.ts'
import { Player, playStep, type Step, steps } from '../support/shard-history.ts'

const RUNS = Number(process.env['FLASHQ_REPLAY_RUNS'] ?? 80)

const retention = { count: 6, ageMs: 700, bytes: 150 }

/** States that follow the records of all shards. */
class Followers {
  readonly engine: EngineHarness
  private readonly states: ShardState[]
  private readonly replays: Replay[]
  private readonly applied: number[]

  constructor(engine: EngineHarness) {
    this.engine = engine
    this.states = engine.shards.map((shard) => new ShardState(shard.id, 1))
    this.replays = this.states.map((state) => new Replay(state))
    this.applied = engine.shards.map(() => 0)
  }

  catchUp(): void {
    for (const [shard, records] of this.engine.records.entries()) {
      for (const record of records.slice(this.applied[shard])) this.replays[shard]?.apply(record)
      this.applied[shard] = records.length
    }
  }

  compare(): void {
    this.catchUp()
    for (const [i, { state }] of this.engine.shards.entries()) {
      if (this.engine.records[i]?.length === 0) continue
      const followed = this.states[i] as ShardState
      expect(dumpState(followed)).toBe(dumpState(state))
      expect(outcomesOf(followed)).toEqual(outcomesOf(state))
      expect(followed.finished.oldestSeq()).toBe(state.finished.oldestSeq())
      expect(followed.nextQueueNo()).toBe(state.nextQueueNo())
    }
  }

  /** What is not state may differ without consequence: the follower compacts at other moments. */
  tidy(): void {
    for (const state of this.states) tidyOneSlab(state)
  }
}

function outcomesOf(state: ShardState): string[] {
  const outcomes: string[] = []
  for (let seq = state.firstSeq; seq < state.nextSeq; seq++) outcomes.push(state.outcomes.get(seq))
  return outcomes
}

function follow(history: readonly Step[], everySteps: number): Followers {
  const engine = new EngineHarness({ records: true, retention })
  const player = new Player()
  const followers = new Followers(engine)
  for (const [i, step] of history.entries()) {
    playStep(engine, player, step)
    if (i % everySteps !== 0) continue
    followers.compare()
    followers.tidy()
  }
  followers.compare()
  return followers
}

it('a follower that applies the records as they come has the same state at every cut', () => {
  fc.assert(
    fc.property(steps(100), fc.integer({ min: 1, max: 40 }), (history, everySteps) => {
      follow(history, everySteps)
    }),
    { numRuns: RUNS },
  )
}, 3_600_000)

it('a recovery that reads all records at the end has the same state', () => {
  fc.assert(
    fc.property(steps(200), (history) => {
      follow(history, Number.MAX_SAFE_INTEGER)
    }),
    { numRuns: RUNS },
  )
}, 3_600_000)
