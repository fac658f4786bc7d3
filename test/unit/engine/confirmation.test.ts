// Jobs of which nobody knows whether they reached their consumer, after their owner died.

import { describe, expect, it } from 'vitest'
import { confirmedRecord } from '../../../src/engine/confirmation.ts'
import { Restore } from '../../../src/engine/restore.ts'
import { Shard } from '../../../src/engine/shard.ts'
import { EngineHarness, queueOfShard } from '../../support/engine-harness.ts'

const SHARD = 7
const queue = queueOfShard(SHARD)

/** The states of all jobs after an owner that left these batches: each is the records that `act` made. */
function statesAfter(...acts: ((q: EngineHarness) => void)[]): string[] {
  const q = new EngineHarness({ records: true })
  const ids = [q.push(queue, 1), q.push(queue, 2)]
  const records = q.records[SHARD] as Buffer[]
  const batches: Buffer[][] = [records.splice(0)]
  for (const act of acts) {
    act(q)
    batches.push(records.splice(0))
  }
  const restore = new Restore(SHARD, (bytes, each) => {
    for (const record of batches[bytes.readUInt8()] as Buffer[]) each(record)
  })
  restore.checkpointEnded()
  batches.forEach((_, i) => {
    restore.batch(Buffer.from([i]))
  })
  const { state } = restore
  const shard = Shard.resume(state, 1e6, q.portsOf(SHARD))
  shard.ownedFrom(1000, 1000, () => true, q.nowMs, restore.unconfirmed)
  return ids.map((id) => state.stateName(Math.floor(id / 32)))
}

const pullBoth = (q: EngineHarness): void => void q.pullMany(queue, 2)

describe('a job that was handed out without a lease', () => {
  it('returns when nothing was recorded behind it', () => {
    expect(statesAfter(pullBoth)).toEqual(['waiting', 'waiting'])
  })

  it('stays with its consumer when anything was, two batches later', () => {
    const later = (q: EngineHarness): void => void q.push(queue, 3)
    expect(statesAfter(pullBoth, later)).toEqual(['waiting', 'waiting'])
    expect(statesAfter(pullBoth, later, later)).toEqual(['active', 'active'])
  })

  it('stays with its consumer when it was confirmed', () => {
    const confirmed = (q: EngineHarness): void => void q.records[SHARD]?.push(confirmedRecord)
    expect(statesAfter(pullBoth, confirmed)).toEqual(['active', 'active'])
  })

  it('stays as it is when its consumer was heard of', () => {
    const heard = (q: EngineHarness): void => {
      const [first, second] = q.pullMany(queue, 2)
      q.ack(first?.id ?? 0)
      q.send({ cmd: 'HEARTBEAT', id: second?.id ?? 0, lease: 1000 })
    }
    expect(statesAfter(heard)).toEqual(['completed', 'active'])
  })
})

describe('a job that was handed out with a lease', () => {
  it('comes back by itself', () => {
    const leased = (q: EngineHarness): void => void q.pullMany(queue, 2, { lease: 1000 })
    expect(statesAfter(leased)).toEqual(['active', 'active'])
  })
})
