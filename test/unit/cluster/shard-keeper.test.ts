// The shards of a worker that are durable: taken, recovered, halted, given up and lost, over storage that the test spoils.

import { describe, expect, it } from 'vitest'
import { NOBODY } from '../../../src/cluster/assignment.ts'
import type { TableMessage } from '../../../src/cluster/ipc.ts'
import { Request } from '../../../src/cluster/request.ts'
import { limits } from '../../../src/engine/limits.ts'
import { Op } from '../../../src/engine/op.ts'
import type { Session } from '../../../src/engine/ports.ts'
import { Pending } from '../../support/engine-harness.ts'
import { type FaultKind, type FaultyCall, FaultyStorage } from '../../support/faulty-storage.ts'
import {
  KeptNode,
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
const OTHER = queueInShard(A, 'other')

describe('a shard that was granted', () => {
  it('serves when its new owner is on record, and not before', async () => {
    const node = new KeptNode()
    const worker = node.add()
    worker.storage.hang('append')
    node.grant({ [A]: 0 })
    const push = worker.ask(pushTo(Q))
    await settled()
    expect(worker.storage.calls).toEqual([`claim ${A}`, `load ${A}`, `reserve ${A}`, `append ${A}`])
    expect(worker.keeper.isServing(A)).toBe(false)
    expect([worker.served, push.answer]).toEqual([[], null])
    worker.storage.heal()
    await settled()
    expect([worker.served, worker.keeper.isServing(A)]).toEqual([[A], true])
    expect(push.answer).toMatchObject({ ok: true })
  })

  it('and cannot be had is asked for again, at longer and longer intervals, and at once when woken up', async () => {
    const node = new KeptNode()
    const holder = node.add({ node: 'other' })
    const worker = node.add()
    holder.keeper.take([A])
    await settled()
    worker.keeper.take([A, B])
    await settled()
    expect(worker.served).toEqual([B])
    const { storage } = worker
    const asked = () => storage.count('claim')
    await pass(10_000)
    // 50 ms, 100, 200, … and then every second.
    expect(asked()).toBeGreaterThan(12)
    expect(asked()).toBeLessThan(17)
    await holder.keeper.giveUp([A])
    const before = asked()
    worker.keeper.wake()
    await settled()
    expect([asked(), worker.served]).toEqual([before + 1, [B, A]])
    await pass(5000)
    expect(asked()).toBe(before + 1)
  })

  it('is asked for until the database can be reached', async () => {
    const node = new KeptNode()
    const worker = node.add()
    worker.storage.fail('ECONNREFUSED', true, 'claim')
    node.grant({ [A]: 0, [B]: 0 })
    await pass(3000)
    expect(worker.log.texts('warn')).toContain('claiming shards failed: tried again')
    worker.storage.heal()
    await pass(1000)
    expect(worker.served).toEqual([A, B])
  })

  it('and cannot be read is left alone, longer and longer, while others are served', async () => {
    const node = new KeptNode()
    const worker = node.add()
    worker.storage.corrupt.add(A)
    node.grant({ [A]: 0, [B]: 0 })
    await settled()
    expect(worker.served).toEqual([B])
    await pass(60_000)
    const claims = worker.storage.count('claim')
    expect(claims).toBeGreaterThan(5)
    expect(claims).toBeLessThan(14)
    expect(worker.log.texts('error')).toContain(
      'a shard can not be recovered: tried again, others are served',
    )
    expect(await worker.answer(pushTo(Q2))).toMatchObject({ ok: true })
  })
})

describe('a shard that somebody else has taken', () => {
  it('is gone: what waits for its records is unknown, and nobody is asked for it again', async () => {
    const { node, worker } = await oneWorker([A, B])
    const other = node.add({ node: 'other' })
    const id = await worker.push(Q, 'first')
    node.store.endedNodes.add('node')
    other.keeper.take([A])
    await settled()
    expect(other.served).toEqual([A])
    const push = worker.ask(pushTo(Q, 'late'))
    await settled()
    expect(push.answer).toMatchObject({ code: 'outcome_unknown' })
    expect([worker.gone, worker.keeper.isServing(A), worker.keeper.isServing(B)]).toEqual([
      [A],
      false,
      true,
    ])
    // The table in which it still has the shard is on its way.
    node.tell([worker])
    await pass(3000)
    expect(worker.storage.calls.filter((call) => call.startsWith('claim'))).toHaveLength(1)
    other.exchange.applyTable(tableOf(other, A))
    expect(await other.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'waiting' })
  })

  it('and is granted to another worker of the node meanwhile is not taken back from that one', async () => {
    const node = new KeptNode()
    const [one, two, away] = [node.add(), node.add(), node.add({ node: 'other' })]
    node.grant({ [A]: 0 })
    await settled()
    node.store.endedNodes.add('node')
    away.keeper.take([A])
    await settled()
    const push = one.ask(pushTo(Q))
    await settled()
    expect([push.answer?.code, one.gone]).toEqual(['outcome_unknown', [A]])
    // An older table first, as when the primary has not heard of it yet.
    node.tell([one])
    node.grant({ [A]: 1 })
    await settled()
    node.store.endedNodes.add('other')
    node.store.endedNodes.delete('node')
    one.keeper.wake()
    two.keeper.wake()
    await pass(5000)
    expect([two.served, one.served, two.gone]).toEqual([[A], [A], []])
    expect(two.keeper.isServing(A)).toBe(true)
  })
})

describe('a shard that somebody takes while it is recovered', () => {
  for (const call of ['reserve', 'append'] as const) {
    it(`(${call}) is asked for again, and served when it can be had`, async () => {
      const node = new KeptNode()
      const [worker, other] = [node.add(), node.add({ node: 'other' })]
      worker.storage.hang(call)
      node.grant({ [A]: 0 })
      await settled()
      node.store.endedNodes.add('node')
      other.keeper.take([A])
      await settled()
      worker.storage.heal()
      await pass(1000)
      expect([worker.served, other.served]).toEqual([[], [A]])
      await other.keeper.giveUp([A])
      // The primary was told that it is gone, or the worker has gone on asking.
      if (worker.gone.length > 0) {
        node.grant({ [A]: NOBODY })
        node.grant({ [A]: 0 })
      }
      await pass(2000)
      expect(worker.served).toEqual([A])
    })
  }
})

describe('a request that comes back', () => {
  it('runs here when the shard has come here meanwhile, and its turn ends by itself', async () => {
    const { worker } = await oneWorker([A])
    const slot = new Pending()
    const request = new Request(Op.PUSH, A, false, slot, worker.session(), null, '')
    worker.exchange.notOwner(request, Buffer.from(JSON.stringify(pushTo(Q))))
    await pass(100)
    expect(slot.answer).toMatchObject({ ok: true })
  })
})

describe('a shard that is given up', () => {
  it('has everything on record before anybody else may have it, and its waiting pulls move on', async () => {
    const node = new KeptNode()
    const [one, two] = [node.add(), node.add({ node: 'other' })]
    await node.link()
    node.grant({ [A]: 0 })
    await settled()
    const waiting = one.ask({ cmd: 'PULL', queue: Q, reqId: 'w' })
    const push = one.ask(pushTo(OTHER, 'last'))
    one.storage.hang('append')
    const under = one.ask(pushTo(OTHER, 'under way'))
    await settled()
    const given = one.exchange.giveBackShards(1)
    two.keeper.take([A])
    await pass(2000)
    expect([under.answer, two.served]).toEqual([null, []])
    one.storage.heal()
    expect(await given).toEqual([A])
    expect([push.answer, under.answer]).toMatchObject([{ ok: true }, { ok: true }])
    node.grant({ [A]: 1 })
    two.keeper.wake()
    await settled()
    expect(two.served).toEqual([A])
    await settled()
    expect(waiting.answer).toBe(null)
    const { id } = await two.answer(pushTo(Q, 'for the one who waits'))
    expect(waiting.answer).toMatchObject({ ok: true, reqId: 'w', job: { id } })
    const rest = await two.answer({ cmd: 'PULLB', queue: OTHER, count: 9, wait: 0 })
    expect(rest.jobs.map(({ data }) => data)).toEqual(['last', 'under way'])
  })

  it('is not taken again when its last records are refused', async () => {
    const { node, worker } = await oneWorker([A])
    await worker.push(Q, 'first')
    worker.storage.poison = 'BAD'
    const bad = worker.ask(pushTo(Q, 'BAD'))
    const given = worker.exchange.giveBackShards(1)
    await pass(2000)
    expect(await given).toEqual([A])
    expect(bad.answer).toMatchObject({ code: 'storage_refused' })
    expect(worker.storage.count('claim')).toBe(1)
    expect(node.store.shard(A).owner).toBe(null)
  })

  it('is free when the database could not be told, as soon as the lease of its node is over', async () => {
    const { worker } = await oneWorker([A])
    worker.storage.fail('08006', true, 'release')
    expect(await worker.exchange.giveBackShards(1)).toEqual([A])
    expect(worker.log.texts('warn')).toContain(
      'a shard could not be released: it is free when the lease ends',
    )
  })
})

describe('a keeper that stops', () => {
  it('waits for shards that are being given up already', async () => {
    const { node, worker } = await oneWorker([A])
    worker.storage.hang('append')
    const push = worker.ask(pushTo(Q))
    await settled()
    const given = worker.exchange.giveBackShards(1)
    let isOver = false
    const stopped = worker.exchange.handOverAll().then(() => {
      isOver = true
    })
    await settled()
    expect(isOver).toBe(false)
    worker.storage.heal()
    await Promise.all([given, stopped])
    expect([push.answer, node.store.shard(A).owner]).toMatchObject([{ ok: true }, null])
  })

  for (const call of ['claim', 'load', 'reserve', 'append'] as const) {
    it(`while a shard is being recovered (${call}) leaves it to others`, async () => {
      const node = new KeptNode()
      const worker = node.add()
      worker.storage.hang(call)
      node.grant({ [A]: 0, [B]: 0 })
      await settled()
      const stopped = worker.exchange.handOverAll()
      await settled()
      worker.storage.heal()
      await stopped
      await pass(5000)
      expect([node.store.shard(A).owner, node.store.shard(B).owner]).toEqual([null, null])
      expect([worker.served, worker.storage.count('claim')]).toEqual([[], 1])
    })
  }
})

describe('sequences', () => {
  it('are reserved before they are given out, and again when reserving fails', async () => {
    const plan = new ReservePlan()
    const { node, worker } = await oneWorker([A], {
      spoil: (storage) => new FaultyStorage(storage, plan),
    })
    const first = await worker.push(Q, 1)
    const reserved = node.store.shard(A).reservedTo
    expect(reserved).toBeGreaterThan(first / 32)
    for (const kind of ['transient', 'reply-lost'] as const) {
      plan.kind = kind
      const before = node.store.shard(A).reservedTo
      worker.keeper.reserve(A)
      await settled()
      plan.kind = null
      await pass(1500)
      expect(node.store.shard(A).reservedTo).toBe(before + 2 ** 22)
    }
    expect(worker.log.texts('warn')).toContain('sequences failed: tried again')
    worker.keeper.reserve(A)
    await settled()
    expect(node.store.shard(A).reservedTo).toBe(reserved + 3 * 2 ** 22)
  })

  it('of an owner that has lost the shard end it', async () => {
    const { node, worker } = await oneWorker([A])
    const other = node.add()
    other.keeper.take([A])
    await settled()
    worker.keeper.reserve(A)
    await settled()
    expect([worker.gone, worker.keeper.isServing(A)]).toEqual([[A], false])
  })

  it('are never given out twice, whatever the owner before had used', async () => {
    const { node, worker } = await oneWorker([A])
    const last = await worker.push(Q, 1)
    node.forget(worker)
    const next = node.add()
    node.grant({ [A]: 1 })
    await settled()
    expect(await next.push(Q, 2)).toBeGreaterThanOrEqual(last + 32 * (2 ** 22 - 1))
  })
})

describe('jobs that are held for connections', () => {
  const held = { release_on_close: true, wait: 0 }

  it('stay held when the worker of the connection lives, and return when the node is another one', async () => {
    const { node, worker } = await oneWorker([A])
    const who = worker.session()
    const id = await worker.push(Q, 1)
    await worker.answer(pullFrom(Q, held), who)
    await worker.exchange.giveBackShards(1)
    node.grant({ [A]: NOBODY })
    node.grant({ [A]: 0 })
    await settled()
    expect(await worker.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'active' })
    const other = node.add({ node: 'other' })
    node.store.endedNodes.add('node')
    node.grant({ [A]: 1 })
    await settled()
    expect(await other.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'waiting' })
  })

  it('return also when the first recovery after another node breaks off', async () => {
    const { node, worker } = await oneWorker([A])
    const id = await worker.push(Q, 1)
    await worker.answer(pullFrom(Q, held))
    const other = node.add({ node: 'other' })
    node.store.endedNodes.add('node')
    other.storage.fail('08006', true, 'reserve')
    node.grant({ [A]: 1 })
    await settled()
    other.storage.heal()
    await pass(1000)
    expect(other.storage.count('claim')).toBe(2)
    expect(await other.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'waiting' })
  })

  it('return when the connection closes while its shard is on its way', async () => {
    const { node, worker } = await oneWorker([A])
    const who = worker.session()
    const id = await worker.push(Q, 1)
    await worker.answer(pullFrom(Q, held), who)
    await worker.exchange.giveBackShards(1)
    worker.exchange.sessionClosed(who)
    node.grant({ [A]: NOBODY })
    node.grant({ [A]: 0 })
    await settled()
    expect(await worker.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'waiting' })
  })
})

describe('a session', () => {
  const held = { release_on_close: true, wait: 0 }

  async function heldJob(): Promise<{
    node: KeptNode
    worker: KeptWorker
    who: Session
    id: number
  }> {
    const { node, worker } = await oneWorker([A])
    const who = worker.session()
    const id = await worker.push(Q, 1)
    await worker.answer(pullFrom(Q, held), who)
    await worker.exchange.giveBackShards(1)
    node.grant({ [A]: NOBODY })
    return { node, worker, who, id }
  }

  it('that goes on under another number while its shard is on its way keeps what it holds', async () => {
    const { node, worker, who, id } = await heldJob()
    const next = worker.session()
    worker.exchange.runner.renameHolder(who.holder, next.holder)
    node.grant({ [A]: 0 })
    await settled()
    expect(await worker.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'active' })
    worker.exchange.sessionClosed(next)
    await settled()
    expect(await worker.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'waiting' })
  })

  it('that closes when its shard is nearly recovered gives back what it held', async () => {
    const { node, worker, who, id } = await heldJob()
    worker.storage.hang('append')
    node.grant({ [A]: 0 })
    await settled()
    worker.exchange.sessionClosed(who)
    worker.storage.heal()
    await settled()
    expect(await worker.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'waiting' })
  })

  it('of a worker that is gone gives it back, too, whenever that is heard', async () => {
    const { node, worker, id } = await heldJob()
    const other = node.add()
    await node.link()
    node.tell()
    other.storage.hang('append')
    node.grant({ [A]: 1 })
    await settled()
    node.forget(worker)
    await settled()
    other.storage.heal()
    await settled()
    expect(await other.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'active' })
    node.die(worker)
    node.tell([other])
    await settled()
    expect(await other.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'waiting' })
  })

  it('that closed is known to all workers, wherever it was served', async () => {
    const node = new KeptNode()
    const [one, two, three] = [node.add(), node.add(), node.add()]
    await node.link()
    node.grant({ [A]: 1, [B]: 2 })
    await settled()
    const who = one.session()
    const id = await one.push(Q, 1)
    await one.answer(pullFrom(Q, held), who)
    await two.exchange.giveBackShards(1)
    one.exchange.sessionClosed(who)
    await settled()
    node.grant({ [A]: 2 })
    await settled()
    expect(three.served).toContain(A)
    expect(await one.answer({ cmd: 'GETSTATE', id })).toMatchObject({ state: 'waiting' })
  })
})

/** Spoils reserving alone. */
class ReservePlan {
  kind: FaultKind | null = null

  next(call: FaultyCall): FaultKind | null {
    return call === 'reserve' ? this.kind : null
  }
}

/** All that its worker is told: the shard is its own. */
function tableOf(worker: KeptWorker, shard: number): TableMessage {
  const owners = Array.from({ length: limits.shards }, (_, each) =>
    each === shard ? worker.index : NOBODY,
  )
  const epochs = owners.map(() => 1)
  const grants = [{ shard, firstSeq: 1, reservedTo: 1 }]
  return { kind: 'table', version: 100, owners, epochs, incarnations: [], grants, heard: false }
}
