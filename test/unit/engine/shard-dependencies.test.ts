import { beforeEach, describe, expect, it } from 'vitest'
import { EngineHarness, queueOfShard } from '../../support/engine-harness.ts'

const here = queueOfShard(4)
const there = queueOfShard(20)

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ events: true, retention: { count: 2 } })
})

const child = (parents: number[], options: object = {}) =>
  q.push(here, 'child', { depends_on: parents, ...options })

const complete = (queue: string) => {
  const id = q.pull(queue)?.id ?? 0
  expect(q.ack(id).ok).toBe(true)
  return id
}

describe.each([
  ['the same shard', here],
  ['another shard', there],
])('a job whose parent is in %s', (_, home) => {
  it('waits until the parent is completed', () => {
    const parent = q.push(home, 'parent')
    const id = child([parent])
    expect(q.job(id)?.depends_on).toEqual([parent])
    expect(q.state(id)).toBe('waiting-children')
    expect(q.pullIds(here)).toEqual(home === here ? [parent] : [])
    if (home !== here) q.pull(home)
    const waiting = q.start({ cmd: 'PULL', queue: here })
    q.ack(parent)
    expect(waiting.answer?.job?.id).toBe(id)
    expect(q.state(id)).toBe('active')
  })

  it('is ready at once when the parent is completed already, also beyond retention', () => {
    const parents = Array.from({ length: 5 }, () => q.push(home))
    for (let i = 0; i < 5; i++) complete(home)
    expect(q.job(parents[0] as number)).toBe(null)
    const id = child(parents)
    expect(q.state(id)).toBe('waiting')
    expect(q.pull(here)?.id).toBe(id)
  })

  it('is released by an ack in a batch', () => {
    const parents = [q.push(home), q.push(home)]
    const id = child(parents)
    q.pullIds(home)
    q.send({ cmd: 'ACKB', ids: parents })
    expect(q.state(id)).toBe('waiting')
  })

  it.each([
    ['failed', 'failed'],
    ['cancelled', 'was cancelled'],
    ['expired', 'expired'],
  ])('goes to the DLQ when the parent %s, and says so', (how, text) => {
    const parent = q.push(home, 1, how === 'expired' ? { ttl: 10 } : { max_attempts: 1 })
    const id = child([parent])
    if (how === 'failed') {
      q.pull(home)
      q.fail(parent)
    }
    if (how === 'cancelled') q.send({ cmd: 'CANCEL', id: parent })
    if (how === 'expired') q.advance(11)
    expect(q.state(id)).toBe('failed')
    const error = `Dependency ${parent} ${text}`
    expect(q.job(id)).toMatchObject({ attempts: 0, progress_msg: error })
    expect(q.dead(here).map((job) => job.id)).toContain(id)
    expect(q.events('failed').at(-1)).toMatchObject({ id, error })
    // Whoever depends on it afterwards learns the same.
    const late = child([parent])
    expect(q.job(late)?.progress_msg).toBe(error)
  })

  it('retried from the DLQ asks again', () => {
    const parent = q.push(home, 1, { max_attempts: 1 })
    const id = child([parent])
    q.pull(home)
    q.fail(parent)
    const retry = (queue: string, one: number) => q.send({ cmd: 'RETRYDLQ', queue, id: one })
    retry(here, id)
    expect(q.state(id)).toBe('failed')
    retry(home, parent)
    retry(here, id)
    expect(q.state(id)).toBe('waiting-children')
    q.pull(home)
    q.ack(parent)
    expect(q.state(id)).toBe('waiting')
  })

  it('does not wait for a parent again that was done when its own run failed', () => {
    const parent = q.push(home)
    const id = child([parent], { max_attempts: 1 })
    complete(home)
    q.pull(here)
    q.fail(id)
    const [, state] = q.turn({ cmd: 'RETRYDLQ', queue: here }, { cmd: 'GETSTATE', id })
    expect(state?.answer?.state).toBe('waiting')
  })
})

describe('a job with dependencies', () => {
  it('waits for all of its parents', () => {
    const parents = [q.push(here), q.push(there), q.push(there)]
    const id = child(parents)
    complete(there)
    complete(here)
    expect(q.state(id)).toBe('waiting-children')
    complete(there)
    expect(q.state(id)).toBe('waiting')
  })

  it('counts as pushed, not as waiting, and can be cancelled', () => {
    const parent = q.push(there)
    const id = child([parent])
    expect(q.events('pushed')).toHaveLength(2)
    expect(q.stats()).toMatchObject({ queued: 1 })
    expect(q.queue(here)).toMatchObject({ pending: 0, processing: 0 })
    expect(q.send({ cmd: 'CANCEL', id }).ok).toBe(true)
    complete(there)
    expect(q.state(id)).toBe('unknown')
  })

  it('keeps its delay after its parents are done', () => {
    const parent = q.push(there)
    const id = child([parent], { delay: 100 })
    q.advance(40)
    complete(there)
    expect(q.state(id)).toBe('delayed')
    q.advance(60)
    expect(q.state(id)).toBe('waiting')
  })

  it('waits on while the parent is retried', () => {
    const parent = q.push(there, 1, { max_attempts: 3 })
    const id = child([parent])
    q.pull(there)
    q.fail(parent)
    expect(q.state(id)).toBe('waiting-children')
    complete(there)
    expect(q.state(id)).toBe('waiting')
  })

  it('may name a parent twice', () => {
    const parent = q.push(there)
    const id = child([parent, parent])
    complete(there)
    expect(q.state(id)).toBe('waiting')
  })

  it('is refused when it names an id of its shard that was never given out, itself included', () => {
    const last = q.push(here)
    for (const parent of [last + 32, last + 64, last + 32 * 1e6]) {
      expect(q.send({ cmd: 'PUSH', queue: here, data: 1, depends_on: [parent] })).toMatchObject({
        ok: false,
        error: `Dependency ${parent} does not exist`,
        code: 'dependency_invalid',
      })
    }
    expect(q.push(here)).toBe(last + 32)
  })

  it('goes to the DLQ when a parent of another shard was never given out', () => {
    const id = child([q.push(there) + 32])
    expect(q.state(id)).toBe('failed')
    expect(q.job(id)?.progress_msg).toMatch(/^Dependency \d+ does not exist$/)
  })

  it('knows a purged parent as failed, and one of an earlier life of its shard as unknown', () => {
    q = new EngineHarness({ firstSeq: 100 })
    const parent = q.push(there, 1, { max_attempts: 1 })
    q.pull(there)
    q.fail(parent)
    q.send({ cmd: 'PURGEDLQ', queue: there })
    expect(q.job(child([parent]))?.progress_msg).toBe(`Dependency ${parent} failed`)
    const old = 5 * 32 + 20
    expect(q.job(child([old]))?.progress_msg).toBe(`Dependency ${old} does not exist`)
  })

  it('is settled once, though its parent is asked and tells many times', () => {
    const parent = q.push(there)
    const id = child([parent])
    for (let i = 0; i < 3; i++) {
      for (const shard of q.shards) shard.askAgain()
      q.settle()
    }
    complete(there)
    q.shards[4]?.told(id, parent, 'failed', q.nowMs)
    q.shards[4]?.told(id, parent, 'completed', q.nowMs)
    q.settle()
    expect(q.state(id)).toBe('waiting')
    expect(q.queue(here)).toMatchObject({ pending: 1 })
    expect(q.shards[20]?.state.childrenOf.size).toBe(0)
  })

  it('asks again after a change of owner, and learns what it missed', () => {
    const parent = q.push(there)
    const id = child([parent])
    q.shards[20]?.state.childrenOf.clear()
    complete(there)
    expect(q.state(id)).toBe('waiting-children')
    q.shards[4]?.askAgain()
    q.settle()
    expect(q.state(id)).toBe('waiting')
  })
})

describe('a chain of 1,000', () => {
  const chain = () => {
    const ids = [q.push(here, 0, { max_attempts: 1 })]
    for (let i = 1; i < 1000; i++) {
      ids.push(q.push(i % 2 === 0 ? here : there, i, { depends_on: [ids[i - 1]] }))
    }
    return ids
  }

  it('fails as a whole when the first one fails', () => {
    const ids = chain()
    q.pull(here)
    q.fail(ids[0] as number)
    expect(q.stats()).toEqual({ queued: 0, processing: 0, delayed: 0, dlq: 1000 })
    expect(q.job(ids[999] as number)?.progress_msg).toBe(`Dependency ${ids[998]} failed`)
  })

  it('runs link by link', () => {
    const ids = chain()
    for (const [i, id] of ids.entries()) expect(complete(i % 2 === 0 ? here : there)).toBe(id)
  })
})

it('a thousand children of one parent are all told', () => {
  const parent = q.push(there)
  for (let i = 0; i < 1000; i++) q.push(`fan-${i % 50}`, i, { depends_on: [parent] })
  expect(q.stats().queued).toBe(1)
  complete(there)
  expect(q.stats().queued).toBe(1000)
})
