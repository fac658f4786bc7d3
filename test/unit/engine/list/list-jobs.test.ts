import { beforeEach, describe, expect, it } from 'vitest'
import { JobState } from '../../../../src/engine/job-store.ts'
import { limits } from '../../../../src/engine/limits.ts'
import type { JobQuery } from '../../../../src/engine/list/job-query.ts'
import { readPlace, startOfList, writePlace } from '../../../../src/engine/list/list-place.ts'
import { EngineHarness, queueOfShard, START_MS } from '../../../support/engine-harness.ts'
import { listInRounds, type Rounds } from '../../../support/list-rounds.ts'

const queues = [3, 4, 17].map(queueOfShard)
const [here, there] = queues as [string, string, string]

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness()
})

const list = (fields: object = {}) => q.send({ cmd: 'LISTJOBS', ...fields })
const ids = (fields: object = {}): number[] => list(fields).jobs.map((job) => job.id)

const everything: JobQuery = {
  queue: null,
  state: JobState.none,
  tag: null,
  sinceMs: 0,
  untilMs: Number.POSITIVE_INFINITY,
  text: null,
  limit: 1000,
  place: startOfList(0),
}

function inRounds(query: Partial<JobQuery>, rounds: Partial<Rounds> = {}) {
  const done = listInRounds(q.shards, { ...everything, ...query }, { workers: 2, ...rounds })
  const shown = done.list.bodies.map((body) => (JSON.parse(body.toString()) as { id: number }).id)
  return { ...done, shown }
}

/** Job by job from shard to shard, each a millisecond later; the newest first. */
function fill(count: number, options: object = {}): number[] {
  const pushed: number[] = []
  for (let i = 0; i < count; i++) {
    pushed.push(q.push(queues[i % queues.length] as string, i, options))
    q.advance(1)
  }
  return pushed.reverse()
}

describe('LISTJOBS', () => {
  it('lists the jobs of all shards, the newest first, of one moment the highest id first', () => {
    expect(list()).toEqual({ ok: true, jobs: [], cursor: null })
    const first = queues.map((queue) => q.push(queue))
    q.advance(1)
    const later = queues.toReversed().map((queue) => q.push(queue))
    const down = (a: number, b: number): number => b - a
    expect(ids()).toEqual([...later.sort(down), ...first.sort(down)])
  })

  it('shows a job with its state, and a finished one with its end', () => {
    const id = q.push(here, { n: 1 }, { tags: ['t'] })
    const job = q.job(id)
    expect(list().jobs).toEqual([{ ...job, state: 'waiting' }])
    q.pull(here)
    q.fail(id, 'once')
    q.pull(here)
    q.ack(id, { result: [1] })
    const end = { result: [1], error: 'once', finished_at: START_MS }
    expect(list().jobs).toEqual([{ ...q.job(id), state: 'completed', ...end }])
    expect(list().jobs[0]).not.toHaveProperty('token')
  })

  it('gives pages whose cursors go on behind the last job, and null with the last page', () => {
    const all = fill(20)
    const pages: number[][] = []
    let cursor: string | null = null
    do {
      const answer = list({ limit: 6, cursor })
      pages.push(answer.jobs.map((job) => job.id))
      cursor = answer.cursor
      // What comes later is in no page behind.
      q.push(here)
    } while (cursor !== null)
    expect(pages.map((page) => page.length)).toEqual([6, 6, 6, 2])
    expect(pages.flat()).toEqual(all)
  })

  it('gives null with the last page, whatever other jobs lie before it in the same shards', () => {
    fill(20)
    const tagged = [1, 2, 3].map((n) => q.push(here, n, { tags: ['t'] })).reverse()
    expect(list({ limit: 3, tag: 't' })).toMatchObject({ cursor: null })
    expect(list({ offset: 3, limit: 1, tag: 't' })).toEqual({ ok: true, jobs: [], cursor: null })
    const { jobs, cursor } = list({ limit: 2, tag: 't' })
    expect(jobs.map((job) => job.id)).toEqual(tagged.slice(0, 2))
    const rest = list({ limit: 2, tag: 't', cursor })
    expect(rest).toMatchObject({ jobs: [{ id: tagged[2] }], cursor: null })
  })

  it('has 100 jobs at most when nothing is said, and as many as are asked for, none included', () => {
    const all = fill(150)
    expect(ids()).toEqual(all.slice(0, 100))
    const { cursor, jobs } = list({ limit: 0 })
    expect(jobs).toEqual([])
    expect(ids({ limit: 1000, cursor })).toEqual(all)
    expect(list({ limit: 150 }).cursor).toBe(null)
    expect(list({ limit: 1001 })).toMatchObject({ code: 'invalid' })
  })

  it('leaves out what offset says, also over several pages', () => {
    const all = fill(40)
    expect(ids({ offset: 7, limit: 3 })).toEqual(all.slice(7, 10))
    expect(list({ offset: 40 })).toEqual({ ok: true, jobs: [], cursor: null })
    const { cursor } = list({ offset: 7, limit: 3 })
    expect(ids({ cursor, offset: 9, limit: 2 })).toEqual(all.slice(10, 12))
    expect(list({ offset: limits.listOffsetMax + 1 })).toMatchObject({ code: 'invalid' })
  })

  it('filters by queue, state, tag, time and text, together', () => {
    const plain = q.push(here, { name: 'Ann' })
    q.advance(100)
    const tagged = q.push(here, { name: 'Bö"b' }, { tags: ['a', 'ü"'], delay: 1000 })
    q.advance(100)
    const other = q.push(there, { name: 'Ann' })
    expect(ids({ queue: here })).toEqual([tagged, plain])
    expect(ids({ queue: 'nothing' })).toEqual([])
    expect(ids({ state: 'delayed' })).toEqual([tagged])
    expect(ids({ tag: 'ü"' })).toEqual([tagged])
    expect(ids({ tag: 'ü' })).toEqual([])
    expect(ids({ since: START_MS + 100 })).toEqual([other, tagged])
    expect(ids({ since: START_MS + 1, until: START_MS + 199 })).toEqual([tagged])
    expect(ids({ until: START_MS })).toEqual([plain])
    expect(ids({ text: '"Ann"' })).toEqual([other, plain])
    expect(ids({ text: 'Bö\\"b' })).toEqual([tagged])
    expect(ids({ text: 'Ann', queue: there })).toEqual([other])
    expect(ids({ text: '', tag: '', queue: null, state: null })).toEqual([other, tagged, plain])
  })

  it('takes the bytes of a text where they are, and not beyond the data they are in', () => {
    q.push(here, 'ab')
    q.push(here, 'cd')
    expect(ids({ text: 'ab"' })).toHaveLength(1)
    expect(ids({ text: '"ab""cd' })).toEqual([])
  })

  it.each([
    ['a state that there is not', { state: 'done' }, 'invalid'],
    ['the state of what is not there', { state: 'unknown' }, 'invalid'],
    ['a queue that there cannot be', { queue: 'a b' }, 'queue_name_invalid'],
    ['a text that is too long', { text: 'ü'.repeat(513) }, 'limit_exceeded'],
    ['a tag that is too long', { tag: 'x'.repeat(65) }, 'limit_exceeded'],
    ['a cursor that is none', { cursor: 'x' }, 'invalid'],
    ['an empty cursor', { cursor: '' }, 'invalid'],
    ['a cursor of another kind', { cursor: 7 }, 'invalid'],
    ['a cursor that is too long', { cursor: 'A'.repeat(5000) }, 'invalid'],
    ['a time that is none', { since: -1 }, 'invalid'],
  ])('refuses %s', (_, fields, code) => {
    expect(list(fields)).toMatchObject({ ok: false, code })
  })

  it('goes on where it was when a shard has a new owner', () => {
    const all = fill(12)
    const { cursor } = list({ limit: 5 })
    q.crash(3)
    expect(ids({ cursor })).toEqual(all.slice(5))
  })
})

describe('a cursor', () => {
  it('is read as it was written, and in no other form', () => {
    const place = { skip: 17, below: [...startOfList(0).below] }
    place.below[3] = 0
    place.below[4] = 2 ** 40
    const cursor = writePlace(place)
    expect(readPlace(cursor)).toEqual(place)
    for (const bad of [`${cursor}A`, `${cursor}=`, cursor.slice(0, -2), ` ${cursor}`]) {
      expect(readPlace(bad)).toBe(null)
    }
    expect(readPlace(writePlace({ ...place, skip: limits.listOffsetMax + 1 }))).toBe(null)
  })
})

describe('one round', () => {
  it('looks at so many rows and no more, and the next one goes on there', () => {
    fill(600, { delay: 1_000_000 })
    const few = q.push(here, 'late')
    q.pull(here)
    q.push(there)
    const bounds = { looks: 50, bytes: 1e6 }
    const active = { state: JobState.active }
    const found = inRounds(active, { bounds })
    expect(found.shown).toEqual([few])
    expect(found.rounds).toBeGreaterThan(4)
    // Far from through, it says so.
    const once = inRounds({ state: JobState.failed }, { bounds, max: 1 })
    expect(once.shown).toEqual([])
    expect(once.list.place).not.toBe(null)
  })

  it('keeps the order of jobs of several workers however little each one looks at', () => {
    const all = fill(200)
    const bounds = { looks: 3, bytes: 1e6 }
    for (const workers of [1, 2, 5, 32]) {
      expect(inRounds({ limit: 200 }, { workers, bounds }).shown).toEqual(all)
    }
    const place = startOfList(33)
    expect(inRounds({ limit: 9, place }, { bounds, workers: 3 }).shown).toEqual(all.slice(33, 42))
  })

  it('ends an answer before its jobs are too large, but never before the first', () => {
    const data = 'x'.repeat(900_000)
    const all = [1, 2, 3, 4, 5, 6, 7].map(() => q.push(here, data)).reverse()
    const first = list()
    expect(first.jobs.map((job) => job.id)).toEqual(all.slice(0, 4))
    expect(ids({ cursor: first.cursor })).toEqual(all.slice(4))
    expect(inRounds({ limit: 1 }, { bounds: { looks: 100, bytes: 1 } }).shown).toEqual(
      all.slice(0, 1),
    )
  })

  it('finds a text in many jobs with bounded work for each round', () => {
    fill(60)
    const { rounds, shown } = inRounds({ text: '7' }, { bounds: { looks: 200, bytes: 1e6 } })
    expect(shown).toHaveLength(6)
    expect(rounds).toBeGreaterThan(8)
  })

  it('stops at what is older than asked for, without a look at the rest', () => {
    for (let i = 0; i < 20; i++) {
      q.send({ cmd: 'PUSHB', queue: here, jobs: Array.from({ length: 1000 }, () => ({ data: i })) })
    }
    q.advance(120_000)
    const late = q.push(here)
    const since = { sinceMs: START_MS + 120_000 }
    const { shown, rounds } = inRounds(since, { bounds: { looks: 100, bytes: 1e6 } })
    expect(shown).toEqual([late])
    expect(rounds).toBe(1)
  })

  it('passes what is newer than asked for, page by page', () => {
    const old = q.push(here)
    q.advance(120_000)
    for (let i = 0; i < 20; i++) {
      q.send({ cmd: 'PUSHB', queue: here, jobs: Array.from({ length: 1000 }, () => ({ data: i })) })
    }
    const until = { untilMs: START_MS + 10 }
    const { shown, rounds } = inRounds(until, { bounds: { looks: 5000, bytes: 1e6 } })
    expect(shown).toEqual([old])
    // The page that the old one is in is looked at, row by row.
    expect(rounds).toBeLessThan(4)
  })

  it('ends, and lists each job once, when clocks were set back between two owners', () => {
    const all = fill(30)
    q.nowMs -= 50_000
    q.crash(3)
    q.crash(4)
    all.push(...fill(30))
    const bounds = { looks: 4, bytes: 1e6 }
    const { shown } = inRounds({}, { workers: 4, bounds })
    expect(shown.sort()).toEqual(all.sort())
  })
})
