// The records about webhooks as bytes: pinned, because journals of other versions read them. See replay.test.ts.

import { expect, it } from 'vitest'
import { RecordKind } from '../../../src/engine/recorder.ts'
import { Replay } from '../../../src/engine/replay.ts'
import { ShardState } from '../../../src/engine/shard-state.ts'
import { hashState } from '../../../src/engine/state-dump.ts'
import type { DeliveryEnd, DeliveryRef } from '../../../src/engine/webhook-ports.ts'
import { EngineHarness, queueOfShard } from '../../support/engine-harness.ts'
import pinned from './webhook-records.json' with { type: 'json' }

/** A history that makes a record of every kind in shard 0, the home. */
function everyKind(): EngineHarness {
  const q = new EngineHarness({ records: true })
  const queue = queueOfShard(0)
  q.send({
    ...{ cmd: 'WEBHOOK', url: 'https://example.com/ü', events: ['job.pushed', 'expired'] },
    ...{ secret: 'sécret', headers: { 'x-a': 'b' }, queue },
  })
  q.send({ cmd: 'WEBHOOK', url: 'https://example.com/2', events: ['*'] })
  const end = (how: DeliveryEnd): void => {
    const ref = q.deliveries.shift() as DeliveryRef
    const result = { end: how, delayMs: 50, status: 500, error: null, tookMs: 1 }
    q.webhookLetter({ kind: 'delivered', to: 0, ref, result })
    q.settle()
  }
  q.push(queue, { a: 1 }, { ttl: 5, unique_key: 'k' })
  end('retry')
  end('ok')
  q.advance(10)
  end('dead')
  const failing = q.push(queue, 2, { max_attempts: 1 })
  q.pull(queue)
  q.fail(failing, 'half \ud83d')
  q.send({ cmd: 'WEBHOOKPING', id: 'wh_2' })
  q.send({ cmd: 'WEBHOOK', id: 'wh_1', enabled: false })
  return q
}

const records = (q: EngineHarness): Buffer[] => q.records[0] as Buffer[]

it('records about webhooks are these bytes', () => {
  expect(records(everyKind()).map((record) => record.toString('hex'))).toEqual(pinned.records)
})

it('records about webhooks are there of every kind', () => {
  const kinds = new Set(records(everyKind()).map((record) => record[0] as number))
  const own = Object.values(RecordKind).filter((kind) => kind >= RecordKind.webhooksSet)
  expect(own.filter((kind) => !kinds.has(kind))).toEqual([])
})

it('records about webhooks give the state as pinned', () => {
  const state = new ShardState(0, 1)
  const replay = new Replay(state)
  for (const record of pinned.records) replay.apply(Buffer.from(record, 'hex'))
  expect(hashState(state)).toBe(pinned.stateHash)
})
