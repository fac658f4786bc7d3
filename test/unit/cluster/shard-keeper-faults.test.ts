// What becomes of commands, timers and replies when the database hangs, is slow, and refuses.

import { describe, expect, it } from 'vitest'
import { Pending } from '../../support/engine-harness.ts'
import {
  type KeptWorker,
  oneWorker,
  pass,
  pullFrom,
  pushTo,
  settled,
} from '../../support/kept-node.ts'
import { queueInShard } from '../../support/queue-names.ts'

const [A, B] = [3, 4]
const Q = queueInShard(A)
const Q2 = queueInShard(B)

describe('a database that does not answer', () => {
  const spells: Record<string, (worker: KeptWorker) => void> = {
    'fails retryably': ({ storage }) => storage.fail('08006', true, 'append'),
    hangs: ({ storage }) => storage.hang('append'),
  }
  for (const [name, cast] of Object.entries(spells)) {
    it(`and ${name} halts the shard, and everything goes on where it was when it answers`, async () => {
      const { worker } = await oneWorker([A])
      const who = worker.session()
      const later = await worker.push(Q, 'later', { delay: name === 'hangs' ? 5000 : 1000 })
      cast(worker)
      const under = worker.ask(pushTo(Q, 'under way', { reqId: 1 }), who)
      await pass(name === 'hangs' ? 3600 : 0)
      expect(worker.keeper.isServing(A)).toBe(false)
      const held = worker.ask(pushTo(Q, 'held', { reqId: 2 }), who)
      const mark = worker.journal(A).mark
      await pass(3000)
      // Neither a command nor a timer has run.
      expect([under.answer, held.answer, worker.journal(A).mark]).toEqual([null, null, mark])
      expect(worker.log.texts('warn')).toEqual([
        'the database does not answer: commands wait for it',
      ])
      worker.storage.heal()
      await pass(1000)
      expect([under.answer, held.answer]).toMatchObject([{ ok: true }, { ok: true }])
      expect(worker.log.texts('info')).toContain('the database answers again')
      const got = await worker.answer({ cmd: 'PULLB', queue: Q, count: 9, wait: 0 })
      expect(got.jobs.map(({ data, attempts }) => [data, attempts]).sort()).toEqual([
        ['held', 0],
        ['later', 0],
        ['under way', 0],
      ])
      expect(got.jobs.some(({ id }) => id === later)).toBe(true)
    })

    it(`and ${name} for long: what is under way is unknown, pulls give back, and what waits is refused`, async () => {
      const { worker } = await oneWorker([A])
      const job = await worker.push(Q, 'first')
      cast(worker)
      const pull = worker.ask(pullFrom(Q, { reqId: 'pull' }))
      const push = worker.ask(pushTo(Q, 'second', { reqId: 'push' }))
      await pass(name === 'hangs' ? 3600 : 0)
      const held = worker.ask(pushTo(Q, 'third', { reqId: 'held' }))
      await pass(6000)
      expect([pull.answer, push.answer, held.answer]).toMatchObject([
        { ok: false, reqId: 'pull', code: 'unavailable' },
        { ok: false, reqId: 'push', code: 'outcome_unknown' },
        { ok: false, reqId: 'held', code: 'unavailable' },
      ])
      worker.storage.heal()
      await pass(1000)
      const got = await worker.answer({ cmd: 'PULLB', queue: Q, count: 9, wait: 0 })
      expect(got.jobs.map(({ id, data, attempts }) => [id, data, attempts])).toEqual([
        [job, 'first', 0],
        [expect.any(Number), 'second', 0],
      ])
    })
  }
})

describe('more than may be pending', () => {
  it('stops everything until half of it is gone', async () => {
    const { worker } = await oneWorker([A, B], { backlogBytes: 10_000 })
    worker.storage.hang('append')
    const data = 'x'.repeat(3000)
    const first = Array.from({ length: 2 }, () => worker.ask(pushTo(Q, data)))
    await settled()
    expect(worker.keeper.isServing(B)).toBe(true)
    const more = Array.from({ length: 2 }, () => worker.ask(pushTo(Q2, data)))
    await settled()
    expect([worker.keeper.isServing(A), worker.keeper.isServing(B)]).toEqual([false, false])
    const held = worker.ask(pushTo(Q2, 'held'))
    const marks = () => [worker.journal(A).mark, worker.journal(B).mark]
    const before = marks()
    await pass(1000)
    expect([marks(), held.answer]).toEqual([before, null])
    worker.storage.heal()
    await settled()
    for (const slot of [...first, ...more, held]) expect(slot.answer).toMatchObject({ ok: true })
    expect([worker.keeper.isServing(A), worker.keeper.isServing(B)]).toEqual([true, true])
  })

  it('goes on when what was pending is dropped because the shard is another worker’s', async () => {
    const { node, worker } = await oneWorker([A, B], { backlogBytes: 5000 })
    worker.storage.hang('append')
    worker.ask(pushTo(Q, 'x'.repeat(6000)))
    await settled()
    expect(worker.keeper.isServing(B)).toBe(false)
    const other = node.add()
    other.keeper.take([A])
    await settled()
    worker.storage.heal()
    await settled()
    expect(worker.gone).toEqual([A])
    expect(worker.keeper.isServing(B)).toBe(true)
    expect(await worker.answer(pushTo(Q2))).toMatchObject({ ok: true })
  })

  it('also halts a shard that is recovered meanwhile', async () => {
    const { node, worker } = await oneWorker([A], { backlogBytes: 5000 })
    worker.storage.hang('load')
    node.grant({ [B]: 0 })
    await settled()
    worker.storage.hang('append')
    worker.ask(pushTo(Q, 'x'.repeat(6000)))
    await settled()
    expect(worker.exchange.runner.serves(A)).toBe(false)
  })
})

describe('what the database refuses', () => {
  it('is refused, and the shard goes on with what came before', async () => {
    const { worker } = await oneWorker([A])
    worker.storage.poison = 'BAD'
    const first = await worker.push(Q, 'first')
    const bad = worker.ask(pushTo(Q, 'BAD', { reqId: 1 }))
    const beside = worker.ask(pushTo(Q, 'beside', { reqId: 2 }))
    await settled()
    expect(bad.answer).toMatchObject({ ok: false, reqId: 1, code: 'storage_refused' })
    expect(beside.answer).toMatchObject({ ok: false, reqId: 2, code: 'unavailable' })
    await pass(1000)
    const last = await worker.push(Q, 'last')
    const got = await worker.answer({ cmd: 'PULLB', queue: Q, count: 9, wait: 0 })
    expect(got.jobs.map(({ id }) => id)).toEqual([first, last])
    expect(worker.gone).toEqual([])
  })

  it('says of a turn of which a part is stored that nobody knows', async () => {
    const { worker } = await oneWorker([A])
    worker.storage.poison = 'BAD'
    const slots = worker.askAll([pushTo(Q, 'good'), pushTo(Q, 'BAD'), pushTo(Q, 'good')])
    await pass(1000)
    const { jobs } = await worker.answer({ cmd: 'PULLB', queue: Q, count: 9, wait: 0 })
    expect(jobs.map(({ data }) => data)).toEqual(['good'])
    expect(slots.map(({ answer }) => answer?.code)).toEqual([
      'outcome_unknown',
      'outcome_unknown',
      'outcome_unknown',
    ])
  })

  it('says of a turn with other shards that nobody knows', async () => {
    const { worker } = await oneWorker([A, B])
    worker.storage.poison = 'BAD'
    const slots = worker.askAll([pushTo(Q2, 'good'), pushTo(Q, 'BAD')])
    await pass(1000)
    expect((await worker.answer(pullFrom(Q2))).job).toMatchObject({ data: 'good' })
    expect(slots.map(({ answer }) => answer?.code)).toEqual(['outcome_unknown', 'outcome_unknown'])
  })

  it('is unknown when an attempt of it may have happened', async () => {
    const { worker } = await oneWorker([A])
    worker.storage.fail('08006', true, 'append')
    const push = worker.ask(pushTo(Q, 'maybe'))
    await settled()
    worker.storage.fail('22000', false, 'append')
    await pass(100)
    worker.storage.heal()
    await pass(1000)
    expect(push.answer).toMatchObject({ code: 'outcome_unknown' })
    expect(await worker.answer(pushTo(Q))).toMatchObject({ ok: true })
  })

  it('is unavailable when the database has lost what it had confirmed', async () => {
    const { node, worker } = await oneWorker([A])
    await worker.push(Q, 'kept')
    const lost = await worker.push(Q, 'lost')
    const [side] = node.store.shard(A).sides
    side?.delete(Math.max(...side.keys()))
    worker.storage.fail('lost', false, 'append')
    const push = worker.ask(pushTo(Q, 'behind it'))
    await settled()
    worker.storage.heal()
    await pass(1000)
    expect(push.answer).toMatchObject({ code: 'unavailable' })
    expect(await worker.answer({ cmd: 'GETSTATE', id: lost })).toMatchObject({ state: 'unknown' })
  })

  it('does not keep the database busy when it refuses everything', async () => {
    const { worker } = await oneWorker([A])
    worker.storage.fail('42501', false, 'append')
    worker.ask(pushTo(Q))
    await pass(10_000)
    expect(worker.storage.count('claim')).toBeLessThan(12)
    worker.storage.heal()
    await pass(30_000)
    expect(await worker.answer(pushTo(Q))).toMatchObject({ ok: true })
  })

  it('and comes of itself again and again is tried at longer and longer intervals', async () => {
    const { worker } = await oneWorker([A])
    await worker.push(Q, 1, { delay: 100 })
    // The end of the delay is refused, and the new owner is not.
    worker.storage.acceptedPerClaim = 1
    await pass(20_000)
    expect(worker.storage.count('claim')).toBeGreaterThan(3)
    expect(worker.storage.count('claim')).toBeLessThan(20)
    worker.storage.acceptedPerClaim = 1000
    await pass(30_000)
    expect((await worker.answer(pullFrom(Q))).job).toMatchObject({ data: 1 })
  })

  it('gives back the jobs of a pull that is refused beside it', async () => {
    const { worker } = await oneWorker([A])
    const id = await worker.push(Q, 'job')
    worker.storage.poison = 'BAD'
    const slots = worker.askAll([pullFrom(Q), pushTo(Q, 'BAD')])
    await pass(1000)
    expect(slots[0]?.answer).toMatchObject({ ok: false, code: 'unavailable' })
    expect((await worker.answer(pullFrom(Q))).job).toMatchObject({ id, attempts: 0 })
  })

  it('ends in a turn whose replies have not been made up yet', async () => {
    const { worker } = await oneWorker([A])
    worker.storage.poison = 'BAD'
    worker.ask(pushTo(Q, 'BAD'))
    // Of another worker: its turn ends later.
    const slot = new Pending()
    worker.submit(pushTo(Q, 'beside'), slot, worker.session())
    await settled()
    worker.exchange.turnEnded()
    await pass(1000)
    expect(slot.answer).toMatchObject({ ok: false, code: 'unavailable' })
  })
})
