// The n-th call to storage fails, for every n: what was acknowledged is there afterwards, once, and what the owner
// has in memory is what the next one finds.

import { describe, expect, it } from 'vitest'
import { dumpState } from '../../../src/engine/state-dump.ts'
import type { Storage } from '../../../src/engine/storage-port.ts'
import { DurableWorker } from '../../support/durable-worker.ts'
import { type FaultKind, FaultPlan, FaultyStorage } from '../../support/faulty-storage.ts'
import { playScript, SWEPT_SHARD } from '../../support/sweep-script.ts'

interface Played {
  readonly plan: FaultPlan
  readonly worker: DurableWorker
  readonly dump: string
}

async function play(failAt: number, kind: FaultKind, times: number): Promise<Played> {
  const plan = new FaultPlan()
  Object.assign(plan, { failAt, kind, times })
  const worker = new DurableWorker(SWEPT_SHARD, (storage) => new FaultyStorage(storage, plan))
  const client = await playScript(worker)
  const owned = dumpState(worker.state())
  const survived = await worker.survived()
  expect(dumpState(survived)).toBe(owned)
  client.check(survived)
  return { plan, worker, dump: owned }
}

describe('storage whose n-th call fails', () => {
  it('has every kind of call in the script', async () => {
    const { plan, worker } = await play(0, 'transient', 0)
    const kinds = ['append', 'checkpoint', 'claim', 'emptySide', 'load', 'reserve']
    expect([...new Set(plan.calls)].sort()).toEqual(kinds)
    expect(plan.calls.filter((call) => call === 'checkpoint').length).toBeGreaterThan(2)
    expect(worker.boots).toBe(3)
    expect(worker.store.shard(SWEPT_SHARD).generation).toBeGreaterThan(2)
  })

  for (const [kind, times] of [
    ['transient', 1],
    ['transient', 3],
    ['reply-lost', 1],
    ['reply-lost', 3],
    ['for-good', 1],
    ['for-good', 2],
    ['for-good', 12],
  ] as const) {
    it(`${kind}, ${times} in a row, loses and repeats nothing, for every n`, async () => {
      let n = 1
      for (; ; n++) {
        const { plan } = await play(n, kind, times)
        if (plan.calls.length < n) break
      }
      expect(n).toBeGreaterThan(25)
    })
  }

  it('in passing leaves the same as if nothing had happened, but for what a killed worker left', async () => {
    const untouched = await play(0, 'transient', 0)
    const { calls } = untouched.plan
    const different: string[] = []
    for (const kind of ['transient', 'reply-lost'] as const) {
      for (let n = 1; n <= calls.length; n++) {
        const { dump, worker } = await play(n, kind, 1)
        expect(worker.boots).toBe(untouched.worker.boots)
        if (dump !== untouched.dump) different.push(`${kind} ${calls[n - 1]} then ${calls[n]}`)
      }
    }
    // Its append did not happen, and is fenced when it is repeated: nobody had an answer.
    expect(different).toEqual(['transient append then claim'])
  })
})

describe('a record that storage never takes', () => {
  /** Refuses every batch that has the text in it. */
  function refusing(text: string): (storage: Storage) => Storage {
    return (storage) =>
      Object.assign(Object.create(storage) as Storage, {
        append: (...args: Parameters<Storage['append']>) => {
          const inner = new FaultyStorage(storage, {
            next: () => (args[1].bytes.includes(text) ? 'for-good' : null),
          })
          return inner.append(...args)
        },
      })
  }

  it('takes with it only what came behind it', async () => {
    const worker = new DurableWorker(SWEPT_SHARD, refusing('poison'))
    const push = (data: string) => ({ cmd: 'PUSH', queue: 'q', data })
    await worker.start()
    const texts = ['a', 'b', 'c', 'poison', 'd', 'e']
    const answers = await worker.turn(texts.map(push))
    expect(answers.map((answer) => answer?.ok ?? null)).toEqual([
      true,
      true,
      true,
      null,
      null,
      null,
    ])
    expect(worker.boots).toBe(2)
    const again = await worker.turn(['d', 'e'].map(push))
    expect(again.map((answer) => answer?.ok)).toEqual([true, true])
    const ids = [...answers.slice(0, 3), ...again].map((answer) => answer?.id)
    expect(new Set(ids).size).toBe(5)
    await worker.stop()
    const survived = await worker.survived()
    expect(survived.waiting).toBe(5)
    expect(dumpState(survived)).toBe(dumpState(worker.state()))
  })
})
