import { beforeEach, describe, expect, it } from 'vitest'
import { JobState, JobStore, rowOf } from '../../../src/engine/job-store.ts'
import { ReadyQueue } from '../../../src/engine/ready-queue.ts'

describe('the ready queue', () => {
  let jobs: JobStore
  let queue: ReadyQueue

  beforeEach(() => {
    jobs = new JobStore()
    queue = new ReadyQueue(jobs)
  })

  function push(firstSeq: number, count: number, priority: number, runAt: number, bytes = 1): void {
    for (let seq = firstSeq; seq < firstSeq + count; seq++) {
      const page = jobs.open(seq)
      page.state[rowOf(seq)] = JobState.waiting
      page.priority[rowOf(seq)] = priority
      page.runAt[rowOf(seq)] = runAt
      page.length[rowOf(seq)] = bytes
      jobs.added(page, 1)
    }
    queue.addRun(firstSeq, count, priority, runAt)
  }

  function cancel(seq: number): void {
    jobs.remove(jobs.get(seq), seq)
    queue.gone()
  }

  function take(max: number, bytesMax?: number): number[] {
    const seqs = new Float64Array(max)
    return [...seqs.subarray(0, queue.takeInto(seqs, max, bytesMax))]
  }

  it('gives jobs of one priority in the order they came', () => {
    push(0, 3, 0, 100)
    push(3, 1, 0, 100)
    push(10, 2, 0, 101)
    expect(queue.live).toBe(6)
    expect(take(4)).toEqual([0, 1, 2, 3])
    expect(take(4)).toEqual([10, 11])
    expect(take(4)).toEqual([])
    expect(queue.live).toBe(0)
  })

  it('gives the highest priority first, negative ones last', () => {
    push(0, 1, -5, 100)
    push(1, 1, 0, 100)
    push(2, 1, 7, 100)
    expect(take(3)).toEqual([2, 1, 0])
  })

  it('gives a job that came late but was due earlier its place', () => {
    push(0, 2, 0, 200)
    push(2, 1, 0, 100)
    push(3, 1, 0, 200)
    expect(take(4)).toEqual([2, 0, 1, 3])
  })

  it('puts a job that was given back before those that came after it', () => {
    push(0, 3, 0, 100)
    expect(take(1)).toEqual([0])
    queue.add(0, 0, 100)
    expect(queue.peekSeq()).toBe(0)
    expect(take(3)).toEqual([0, 1, 2])
  })

  it('keeps the order over more priorities than it has lanes', () => {
    for (let priority = 0; priority < 20; priority++) push(priority, 1, priority, 100)
    expect(take(20)).toEqual(Array.from({ length: 20 }, (_, i) => 19 - i))
  })

  it('skips a cancelled job at the head, in the middle and as the last one', () => {
    push(0, 5, 0, 100)
    cancel(0)
    cancel(2)
    expect(queue.peekSeq()).toBe(1)
    expect(take(2)).toEqual([1, 3])
    cancel(4)
    expect(queue.peekSeq()).toBe(-1)
    expect([queue.live, queue.entries]).toEqual([0, 0])
  })

  it('stops before the data would exceed the limit', () => {
    push(0, 5, 0, 100, 10)
    expect(take(5, 25)).toEqual([0, 1])
    expect(take(5, 30)).toEqual([2, 3, 4])
  })

  it('gives the first job even if its data alone exceeds the limit', () => {
    push(0, 2, 0, 100, 1000)
    expect(take(2, 10)).toEqual([0])
    expect(take(2, 10)).toEqual([1])
  })

  it('does not pass over a large job to take a smaller one after it', () => {
    push(0, 1, 2, 100, 10)
    push(1, 1, 1, 100, 100)
    push(2, 1, 0, 100, 1)
    expect(take(3, 20)).toEqual([0])
  })

  it('does not keep cancelled jobs for ever behind one that stays', () => {
    push(0, 1, 9, 50)
    for (let round = 1; round <= 50; round++) {
      push(round * 1000, 1000, round % 3, 1000 - round)
      for (let seq = round * 1000; seq < round * 1000 + 1000; seq++) cancel(seq)
    }
    expect(queue.live).toBe(1)
    expect(queue.entries).toBeLessThan(3000)
    expect(take(10)).toEqual([0])
  })
})
