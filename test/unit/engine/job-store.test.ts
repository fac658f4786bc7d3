import { beforeEach, describe, expect, it } from 'vitest'
import {
  JobState,
  JobStore,
  openLeases,
  openOptions,
  openProgress,
  openResults,
  openStartedAt,
  openTokens,
  PAGE_ROWS,
  rowOf,
} from '../../../src/engine/job-store.ts'

describe('the job store', () => {
  let jobs: JobStore

  beforeEach(() => {
    jobs = new JobStore()
  })

  function add(seq: number, state: JobState = JobState.waiting): void {
    const page = jobs.open(seq)
    page.state[rowOf(seq)] = state
    page.flags[rowOf(seq)] = 0
    jobs.added(page, 1)
  }

  it('finds live jobs and no others', () => {
    add(5)
    add(PAGE_ROWS * 3 + 5)
    expect(jobs.stateOf(5)).toBe(JobState.waiting)
    expect(jobs.find(6)).toBe(undefined)
    expect(jobs.find(PAGE_ROWS + 5)).toBe(undefined)
    expect(jobs.find(PAGE_ROWS * 3 + 5)?.firstSeq).toBe(PAGE_ROWS * 3)
    expect(() => jobs.get(6)).toThrow('job 6')
    expect([...jobs.liveSeqs()]).toEqual([5, PAGE_ROWS * 3 + 5])
  })

  it('takes sequences far beyond 32 bits', () => {
    const seq = 2 ** 47 + 3
    add(seq)
    expect(rowOf(seq)).toBe(3)
    expect(jobs.find(seq)?.firstSeq).toBe(2 ** 47)
    expect(jobs.find(3)).toBe(undefined)
  })

  it('gives a page up with its last job and uses it again for others', () => {
    add(1)
    const page = jobs.get(1)
    jobs.remove(page, 1)
    expect(jobs.live).toBe(0)
    expect(jobs.find(1)).toBe(undefined)
    add(PAGE_ROWS * 9)
    expect(jobs.get(PAGE_ROWS * 9)).toBe(page)
    expect(jobs.find(1)).toBe(undefined)
    expect(jobs.pageCount).toBe(1)
  })

  it('forgets what was rare of a job with it', () => {
    add(1)
    const page = jobs.get(1)
    expect(jobs.rareOf(page, 1)).toBe(undefined)
    jobs.openRare(page, 1).message = 'm'
    expect(jobs.openRare(page, 1).message).toBe('m')
    jobs.weigh(jobs.openRare(page, 1))
    add(2)
    jobs.remove(page, 1)
    expect([jobs.rare.size, jobs.rareBytes]).toEqual([0, 0])
    add(1)
    expect(jobs.rareOf(jobs.get(1), 1)).toBe(undefined)
  })

  it('makes a column once, when a job needs it', () => {
    add(1)
    const page = jobs.get(1)
    const { startedAt, token, options, progress, leases, results } = page
    expect([startedAt, token, options, progress, leases, results]).toEqual(new Array(6).fill(null))
    for (const open of [
      openStartedAt,
      openTokens,
      openOptions,
      openProgress,
      openLeases,
      openResults,
    ]) {
      expect(open(page)).toBe(open(page))
    }
  })
})
