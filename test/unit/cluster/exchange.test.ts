// What stands between connections and shards, with two and three workers in one process.

import { describe, expect, it } from 'vitest'
import { NOBODY } from '../../../src/cluster/assignment.ts'
import { shardOfQueue } from '../../../src/cluster/shard-of-queue.ts'
import { eventually } from '../../support/eventually.ts'
import {
  type Answer,
  ask,
  EVEN,
  halves,
  ODD,
  queueOf,
  session,
  submit,
  two,
} from '../../support/exchange-node.ts'

describe('a command for a shard of another worker', () => {
  it('is answered in order when many are sent at once, whatever their size', async () => {
    const { a } = await two()
    const who = session(0)
    const slots = Array.from({ length: 300 }, (_, i) =>
      submit(a, who, { cmd: 'PUSH', queue: ODD, data: 'x'.repeat((i * 7919) % 30_000) }),
    )
    const ids = (await Promise.all(slots.map(({ answered }) => answered))).map(({ id }) => id)
    expect(ids).toEqual([...ids].sort((x, y) => Number(x) - Number(y)))
    expect(new Set(ids).size).toBe(300)
    const { jobs } = (await ask(a, who, { cmd: 'PULLB', queue: ODD, count: 1000 })) as {
      jobs: { id: number; data: string }[]
    }
    expect(jobs.map(({ id }) => id)).toEqual(ids)
    expect(jobs.map(({ data }) => data.length)).toEqual(slots.map((_, i) => (i * 7919) % 30_000))
  })

  it('hands jobs over with what is needed to give them back', async () => {
    const { a } = await two()
    const who = session(0)
    for (let i = 0; i < 3; i++) await ask(a, who, { cmd: 'PUSH', queue: ODD, data: i })
    const slot = submit(a, who, { cmd: 'PULLB', queue: ODD, count: 3 })
    await slot.answered
    expect(slot.handed?.seqs).toHaveLength(3)
    expect(slot.handed?.shard).toBe(shardOfQueue(ODD))
    if (slot.handed !== null) a.giveBack(slot.handed)
    const { jobs } = (await ask(a, who, { cmd: 'PULLB', queue: ODD, count: 9 })) as {
      jobs: Answer[]
    }
    expect(jobs.map(({ data, attempts }) => [data, attempts])).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
    ])
  })

  it('is refused at once when the backlog is full, and served again when it is not', async () => {
    const { a } = await two()
    const who = session(0)
    const data = 'x'.repeat(1_000_000)
    const slots = Array.from({ length: 90 }, () =>
      submit(a, who, { cmd: 'PUSH', queue: ODD, data }),
    )
    expect(slots.at(-1)?.closed).toBe(1)
    expect(await slots.at(-1)?.answered).toMatchObject({ code: 'unavailable' })
    const answers = await Promise.all(slots.map(({ answered }) => answered))
    expect(answers.filter(({ ok }) => ok === true).length).toBeGreaterThan(50)
    expect(await ask(a, who, { cmd: 'PUSH', queue: ODD, data })).toMatchObject({ ok: true })
  })
})

describe('a session that closes', () => {
  it('takes its waiting pulls with it, and the numbers they had are used again', async () => {
    const { a, b } = await two()
    const gone = session(0)
    const pulls = Array.from({ length: 50 }, () => submit(a, gone, { cmd: 'PULL', queue: ODD }))
    expect(await ask(a, gone, { cmd: 'GETSTATE', id: 33 })).toMatchObject({ state: 'unknown' })
    a.sessionClosed(gone)
    const who = session(0)
    for (let i = 0; i < 60; i++) submit(a, who, { cmd: 'PULL', queue: ODD, wait: 0 })
    expect(await ask(a, who, { cmd: 'STATS' })).toMatchObject({ ok: true })
    await ask(b, session(1), { cmd: 'PUSH', queue: ODD, data: 1 })
    expect(await ask(a, who, { cmd: 'PULL', queue: ODD })).toMatchObject({ job: { data: 1 } })
    expect(pulls.map(({ closed }) => closed)).toEqual(new Array(50).fill(0))
  })

  it('still gets the answers to what it had asked before', async () => {
    const { a } = await two()
    const who = session(0)
    const pushes = Array.from({ length: 50 }, () =>
      submit(a, who, { cmd: 'PUSH', queue: ODD, data: 1 }),
    )
    a.sessionClosed(who)
    for (const { answered } of pushes) expect(await answered).toMatchObject({ ok: true })
  })
})

describe('when a worker is gone', () => {
  it('the jobs its sessions held for release return, and its pulls are forgotten', async () => {
    const { node, a, b } = await two()
    const theirs = session(1)
    await ask(a, session(0), { cmd: 'PUSH', queue: EVEN, data: 1 })
    const held = { cmd: 'PULL', queue: EVEN, release_on_close: true }
    expect(await ask(b, theirs, held)).toMatchObject({ job: { data: 1 } })
    const waiting = submit(b, theirs, { cmd: 'PULL', queue: EVEN })
    expect(await ask(b, theirs, { cmd: 'GETSTATE', id: 32 })).toMatchObject({ ok: true })
    const next = submit(a, session(0), { cmd: 'PULL', queue: EVEN })
    node.kill(1)
    expect(await next.answered).toMatchObject({ job: { data: 1, attempts: 0 } })
    expect(waiting.closed).toBe(0)
  })

  it('pulls go on at the new owner; pushes of which nobody knows are outcome_unknown', async () => {
    const { node, a } = await two()
    const who = session(0)
    const pull = submit(a, who, { cmd: 'PULL', queue: ODD })
    await ask(a, who, { cmd: 'GETSTATE', id: 33 })
    const push = submit(a, who, { cmd: 'PUSH', queue: ODD, data: 'lost', reqId: 4 })
    a.turn.flushNow()
    node.kill(1)
    const after = submit(a, who, { cmd: 'PUSH', queue: ODD, data: 'kept' })
    expect(await push.answered).toMatchObject({ code: 'outcome_unknown', reqId: 4 })
    node.assign(halves(0, 0), [a])
    expect(await pull.answered).toMatchObject({ job: { data: 'kept' } })
    // It was written to a socket whose other end was gone: nobody can tell it from the other.
    expect(['outcome_unknown', undefined]).toContain((await after.answered)['code'])
  })

  it('what was not sent yet runs at the new owner', async () => {
    const { node, a } = await two()
    node.kill(1)
    const slots = Array.from({ length: 10 }, (_, i) =>
      submit(a, session(0), { cmd: 'PUSH', queue: ODD, data: i }),
    )
    node.assign(halves(0, 0), [a])
    const answers = await Promise.all(slots.map(({ answered }) => answered))
    expect(answers.every(({ ok }) => ok === true)).toBe(true)
    const pulled = await ask(a, session(0), { cmd: 'PULLB', queue: ODD, count: 99 })
    expect((pulled['jobs'] as Answer[]).map(({ data }) => data)).toEqual(slots.map((_, i) => i))
  })

  it('its next incarnation is another worker', async () => {
    const { node, a } = await two()
    await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 1 })
    node.kill(1)
    node.assign(halves(0, 0), [a])
    const old = node.workers[1]
    node.revive(1)
    const b = await node.add(1)
    expect(b).not.toBe(old)
    node.assign(halves(0, 1))
    await ask(b, session(1), { cmd: 'PUSH', queue: ODD, data: 'new' })
    expect(await ask(a, session(0), { cmd: 'PULL', queue: ODD })).toMatchObject({
      job: { data: 'new' },
    })
  })
})

describe('shards that move', () => {
  it('only empty ones are given back, and a table that is older than that changes nothing', async () => {
    const { node, a, b } = await two()
    await ask(a, session(0), { cmd: 'PUSH', queue: EVEN, data: 1 })
    const given = await a.giveBackShards(99)
    expect(given).toHaveLength(15)
    expect(given).not.toContain(shardOfQueue(EVEN))
    // On its way when they were given back.
    node.tell(a)
    expect(given.filter((shard) => a.runner.owns(shard))).toEqual([])
    const empty = Array.from({ length: 9 }, (_, n) => queueOf(0, n + 1)).find(
      (queue) => shardOfQueue(queue) !== shardOfQueue(EVEN),
    ) as string
    const push = submit(a, session(0), { cmd: 'PUSH', queue: empty, data: 'moved' })
    node.assign(node.owners.map((owner, shard) => (given.includes(shard) ? 1 : owner)))
    expect(await push.answered).toMatchObject({ ok: true })
    expect(await ask(b, session(1), { cmd: 'PULL', queue: empty })).toMatchObject({
      job: { data: 'moved' },
    })
    expect(await ask(b, session(1), { cmd: 'PULL', queue: EVEN })).toMatchObject({
      job: { data: 1 },
    })
  })

  it('may come back to the worker that gave them', async () => {
    const { node, a } = await two()
    const given = await a.giveBackShards(99)
    node.assign(halves(NOBODY, 1))
    node.assign(halves(0, 1))
    expect(given.every((shard) => a.runner.owns(shard))).toBe(true)
    expect(await ask(a, session(0), { cmd: 'PUSH', queue: EVEN, data: 1 })).toMatchObject({
      ok: true,
    })
  })

  it('a request that comes to the old owner is sent to the new one', async () => {
    const { node, a, b } = await two()
    await a.giveBackShards(99)
    // b has not heard of it yet.
    const push = submit(b, session(1), { cmd: 'PUSH', queue: EVEN, data: 1, reqId: 1 })
    const ids = submit(b, session(1), { cmd: 'ACKB', ids: [64, 66] })
    await eventually('it comes back', 2000, () => push.closed === 0)
    node.assign(halves(1, 1))
    expect(await push.answered).toMatchObject({ ok: true, reqId: 1 })
    expect(await ids.answered).toMatchObject({ ids: [0], errors: [{ index: 0 }, { index: 1 }] })
  })
})

describe('subscriptions', () => {
  it('follow the owner, and end', async () => {
    const { node, a, b } = await two()
    const lines: Answer[] = []
    const subscriber = { event: (line: Buffer) => void lines.push(JSON.parse(line.toString())) }
    const confirmed: number[] = []
    a.subscribe(ODD, 1, subscriber, () => confirmed.push(1))
    a.subscribe(ODD, 4, subscriber, () => confirmed.push(4))
    expect(confirmed).toEqual([])
    await eventually('the owner has them', 2000, () => confirmed.length === 2)
    await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 1 })
    await eventually('an event from there', 2000, () => lines.length === 1)
    node.kill(1)
    node.assign(halves(0, 0), [a])
    await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 2 })
    expect(lines.map(({ event, job }) => [event, (job as Answer)['data']])).toEqual([
      ['pushed', 1],
      ['pushed', 2],
    ])
    a.unsubscribe(ODD, subscriber)
    await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 3 })
    expect(lines).toHaveLength(2)
    expect(b).toBeDefined()
  })
})

describe('draining', () => {
  it('ends pulls that wait, here and for others, and those that would begin to', async () => {
    const { a, b } = await two()
    const local = submit(b, session(1), { cmd: 'PULL', queue: ODD })
    const remote = submit(a, session(0), { cmd: 'PULL', queue: ODD })
    await ask(a, session(0), { cmd: 'GETSTATE', id: 33 })
    b.drain()
    for (const { answered } of [local, remote])
      expect(await answered).toMatchObject({ code: 'draining' })
    expect(await ask(a, session(0), { cmd: 'PULL', queue: ODD })).toMatchObject({
      code: 'draining',
    })
    expect(await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 1 })).toMatchObject({
      ok: true,
    })
    expect(await ask(a, session(0), { cmd: 'PULL', queue: ODD })).toMatchObject({
      job: { data: 1 },
    })
  })
})

describe('a list of jobs', () => {
  it('has those of every worker, in their order, page by page', async () => {
    const { a, b } = await two()
    const who = session(0)
    const pushed: unknown[] = []
    for (let i = 0; i < 9; i++) {
      const queue = i % 2 === 0 ? EVEN : ODD
      const { id } = await ask(a, who, { cmd: 'PUSH', queue, data: 'é'.repeat(i) })
      pushed.push(id)
    }
    const listed: Answer[] = []
    let cursor: unknown = null
    for (let page = 0; page === 0 || cursor !== null; page++) {
      const from = page % 2 === 0 ? a : b
      const answer = await ask(from, who, { cmd: 'LISTJOBS', limit: 4, cursor })
      listed.push(...(answer['jobs'] as Answer[]))
      cursor = answer['cursor']
    }
    expect(listed.map(({ id }) => id).sort()).toEqual(pushed.sort())
    const order = listed.map(({ created_at, id }) => Number(created_at) * 1e9 + Number(id))
    expect(order).toEqual([...order].sort((x, y) => y - x))
    for (const job of listed) expect(job).toMatchObject({ state: 'waiting', attempts: 0 })
    const { jobs } = await ask(b, who, { cmd: 'LISTJOBS', queue: EVEN, text: 'éééé' })
    expect((jobs as Answer[]).map(({ data }) => data)).toEqual([
      'é'.repeat(8),
      'é'.repeat(6),
      'é'.repeat(4),
    ])
  })

  it('goes through what lies between, in turns of their own', async () => {
    const { a } = await two()
    const who = session(0)
    const jobs = Array.from({ length: 1000 }, () => ({ data: 0, delay: 1_000_000 }))
    const { id } = await ask(a, who, { cmd: 'PUSH', queue: ODD, data: 'first' })
    for (let i = 0; i < 20; i++) await ask(a, who, { cmd: 'PUSHB', queue: ODD, jobs })
    const found = await ask(a, who, { cmd: 'LISTJOBS', state: 'waiting', text: 'first' })
    expect(found['jobs']).toMatchObject([{ id }])
    expect(found['cursor']).toBe(null)
    const { jobs: skipped } = await ask(a, who, { cmd: 'LISTJOBS', offset: 20_000 })
    expect(skipped).toMatchObject([{ id }])
  })
})

describe('a webhook', () => {
  const hook = { cmd: 'WEBHOOK', url: 'https://a.example/', events: ['pushed'] }

  it('is known to the shards of every worker when its answer comes', async () => {
    const { node, a, b } = await two()
    // From the worker that is not its home.
    expect(await ask(b, session(1), hook)).toEqual({ ok: true, id: 'wh_1' })
    await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 1 })
    await ask(a, session(0), { cmd: 'PUSH', queue: EVEN, data: 1 })
    expect(node.deliveries.map(({ shard }) => shard).sort()).toEqual(
      [shardOfQueue(ODD), shardOfQueue(EVEN)].sort(),
    )
  })

  it('survives its home in memory mode, and goes to shards that begin anew', async () => {
    const { node, b } = await two()
    await ask(b, session(1), hook)
    node.kill(0)
    node.assign(halves(1, 1), [b])
    await eventually('the home has it again', 5000, async () => {
      const { webhooks } = await ask(b, session(1), { cmd: 'WEBHOOKLIST' })
      return (webhooks as unknown[]).length === 1
    })
    await eventually('a shard that lost it has it again', 5000, async () => {
      await ask(b, session(1), { cmd: 'PUSH', queue: EVEN, data: 1 })
      return node.deliveries.length > 0
    })
  })

  it('has its attempts on the log of its home, wherever they were made', async () => {
    const { node, a, b } = await two()
    await ask(a, session(0), hook)
    await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 1 })
    const [ref] = node.deliveries
    if (ref === undefined) throw new Error('nothing was to be delivered')
    const result = { end: 'ok', delayMs: 0, status: 200, error: null, tookMs: 1 }
    b.mail(
      JSON.stringify({
        kind: 'webhook',
        letter: { kind: 'delivered', to: ref.shard, ref, result },
      }),
    )
    await eventually('the home has it on its log', 5000, async () => {
      const { deliveries } = await ask(a, session(0), { cmd: 'WEBHOOKLOG', id: 'wh_1' })
      return (deliveries as unknown[]).length === 1
    })
  })
})
