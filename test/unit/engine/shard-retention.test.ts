import { describe, expect, it } from 'vitest'
import { EngineHarness, queueOfShard } from '../../support/engine-harness.ts'

const name = queueOfShard(2)

function finish(
  q: EngineHarness,
  count: number,
  data: unknown = 1,
  result: unknown = null,
): number[] {
  const ids = Array.from({ length: count }, () => q.push(name, data))
  q.pullIds(name)
  for (const id of ids) q.ack(id, { result })
  return ids
}

const readable = (q: EngineHarness, ids: number[]) => ids.filter((id) => q.job(id) !== null)

describe('finished jobs', () => {
  it('stay readable up to a number; the oldest go first', () => {
    const q = new EngineHarness({ retention: { count: 3 } })
    const ids = finish(q, 10, 1, 'result')
    expect(readable(q, ids)).toEqual(ids.slice(7))
    for (const id of ids) expect(q.state(id)).toBe('completed')
    expect(q.send({ cmd: 'GETRESULT', id: ids[6] }).result).toBe(null)
    expect(q.send({ cmd: 'GETRESULT', id: ids[7] }).result).toBe('result')
  })

  it('go in the order in which they finished, not in that of their ids', () => {
    const q = new EngineHarness({ retention: { count: 2 } })
    const ids = [q.push(name), q.push(name), q.push(name)]
    q.pullIds(name)
    for (const id of [...ids].reverse()) q.ack(id)
    expect(readable(q, ids)).toEqual(ids.slice(0, 2))
  })

  it('stay up to a number of bytes, and no more go than must', () => {
    const q = new EngineHarness({ retention: { bytes: 1000 } })
    const small = finish(q, 2, 1)
    const middle = finish(q, 2, 'x'.repeat(398), 'y'.repeat(98))
    expect(readable(q, [...small, ...middle])).toEqual(middle)
    const large = finish(q, 1, 'x'.repeat(100))
    expect(readable(q, [...middle, ...large])).toEqual([middle[1], ...large])
    expect(q.shards[2]?.state.finishedBytes).toBe(500 + 102)
    finish(q, 1, 'x'.repeat(2000))
    expect(q.shards[2]?.state.finished.count).toBe(0)
    expect(q.shards[2]?.state.finishedBytes).toBe(0)
  })

  it('stay up to an age, then go by themselves', () => {
    const q = new EngineHarness({ retention: { ageMs: 1000 } })
    const early = finish(q, 300)
    q.advance(600)
    const late = finish(q, 2)
    q.advance(399)
    expect(readable(q, early)).toEqual(early)
    q.advance(1)
    expect(readable(q, early)).toEqual([])
    expect(readable(q, late)).toEqual(late)
    q.advance(600)
    expect(readable(q, late)).toEqual([])
    expect(q.nextDueMs()).toBe(Number.POSITIVE_INFINITY)
    expect(q.shards[2]?.state.jobs.live).toBe(0)
  })

  it('are not kept at all when the number is 0', () => {
    const q = new EngineHarness({ events: true, retention: { count: 0 } })
    const [id] = finish(q, 1, 1, { r: 1 }) as [number]
    expect(q.send({ cmd: 'GETJOB', id })).toEqual({ ok: true, job: null, state: 'completed' })
    expect(q.events('completed')).toMatchObject([{ id, job: { data: 1 } }])
  })

  it('are bounded whatever the rate', () => {
    const q = new EngineHarness({ retention: { count: 100 } })
    for (let i = 0; i < 30; i++) finish(q, 500, { i }, 'r')
    expect(q.shards[2]?.state.jobs.live).toBe(100)
    expect(q.shards[2]?.state.jobs.pageCount).toBeLessThan(5)
  })
})

describe('the memory that keys, tags and errors take', () => {
  it('is counted as long as the job is there, and as what it is now', () => {
    const q = new EngineHarness({ retention: { count: 0 } })
    const bytes = () => q.shards[2]?.state.jobs.rareBytes ?? 0
    q.push(name)
    expect(bytes()).toBe(0)
    const ids = Array.from({ length: 10 }, (_, i) =>
      q.push(name, 1, { unique_key: 'k'.repeat(200) + i, tags: ['t'.repeat(60)], priority: 1 }),
    )
    expect(bytes()).toBeGreaterThan(10 * 260)
    const before = bytes()
    q.pullIds(name)
    for (const id of ids) q.fail(id, 'e'.repeat(8000))
    expect(bytes() - before).toBe(10 * 8000)
    q.pullIds(name)
    for (const id of ids) q.fail(id, 'short')
    expect(bytes() - before).toBe(10 * 5)
    q.pullIds(name)
    for (const id of ids) q.send({ cmd: 'PROGRESS', id, progress: 1 })
    for (const id of ids.slice(5)) q.send({ cmd: 'CANCEL', id })
    for (const id of ids.slice(0, 5)) q.ack(id)
    expect(bytes()).toBe(0)
  })
})
