// Webhooks beside a random history: records and checkpoints alone give the same outbox, and every delivery of what
// happened is on it until it is answered.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Replay } from '../../src/engine/replay.ts'
import { ShardState } from '../../src/engine/shard-state.ts'
import { dumpState } from '../../src/engine/state-dump.ts'
import type { DeliveryEnd, DeliveryRef } from '../../src/engine/webhook-ports.ts'
import { EngineHarness } from '../support/engine-harness.ts'
import { restoreOf, storedOf } from '../support/restored.ts'
import { Player, playStep, QUEUES, type Step, steps } from '../support/shard-history.ts'

const RUNS = Number(process.env['FLASHQ_RESTORE_RUNS'] ?? 40)
const ENDS: readonly DeliveryEnd[] = ['ok', 'retry', 'retry', 'dead']
const SHARD = 3

function answerSome(q: EngineHarness, [a, b]: readonly number[]): void {
  for (let i = (a as number) % 3; i > 0 && q.deliveries.length > 0; i--) {
    const at = (b as number) % q.deliveries.length
    const ref = q.deliveries.splice(at, 1)[0] as DeliveryRef
    const end = ENDS[(b as number) % ENDS.length] as DeliveryEnd
    const result = { end, delayMs: 20, status: null, error: null, tookMs: 0 }
    q.webhookLetter({ kind: 'delivered', to: ref.shard, ref, result })
  }
  q.settle()
}

function play(history: readonly Step[]): EngineHarness {
  const q = new EngineHarness({ records: true, retention: { count: 6, ageMs: 700, bytes: 150 } })
  const player = new Player()
  q.send({ cmd: 'WEBHOOK', url: 'https://a.example/', events: ['*'] })
  q.send({ cmd: 'WEBHOOK', url: 'https://b.example/', events: ['failed'], queue: QUEUES[0] })
  for (const step of history) {
    playStep(q, player, step)
    answerSome(q, [step[3], step[4]])
  }
  return q
}

it('records and checkpoints give the same outbox after any history', () => {
  fc.assert(
    fc.property(steps(80), (history) => {
      const q = play(history)
      const { state } = q.shards[SHARD] as (typeof q.shards)[number]
      const replayed = new ShardState(SHARD, 1)
      const replay = new Replay(replayed)
      for (const record of q.records[SHARD] as Buffer[]) replay.apply(record)
      expect(dumpState(replayed)).toBe(dumpState(state))
      expect(dumpState(restoreOf(SHARD, storedOf(state)).state)).toBe(dumpState(state))
      const { outbox } = state
      const bytes = [...outbox.entries.values()].reduce((sum, { body }) => sum + body.length, 0)
      expect(outbox.bytes).toBe(bytes)
      for (const { body } of outbox.entries.values()) JSON.parse(body.toString())
    }),
    { numRuns: RUNS },
  )
})
