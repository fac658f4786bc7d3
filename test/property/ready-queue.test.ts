import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type JobPage, JobState, JobStore, rowOf } from '../../src/engine/job-store.ts'
import { ReadyQueue } from '../../src/engine/ready-queue.ts'

interface Entry {
  seq: number
  priority: number
  runAt: number
  bytes: number
}

/** The queue and its naive model: a sorted array. */
class Pair {
  readonly jobs = new JobStore()
  readonly queue = new ReadyQueue(this.jobs)
  readonly waiting: Entry[] = []
  readonly taken: Entry[] = []
  next = 0
  now = 1000

  push(count: number, priority: number, age: number): void {
    const runAt = this.now - age
    for (let i = 0; i < count; i++) {
      const seq = this.next + i
      const page = this.jobs.open(seq)
      page.state[rowOf(seq)] = JobState.waiting
      page.runAt[rowOf(seq)] = runAt
      page.priority[rowOf(seq)] = priority
      page.length[rowOf(seq)] = seq % 7
      this.jobs.added(page, 1)
      this.waiting.push({ seq, priority, runAt, bytes: seq % 7 })
    }
    this.queue.addRun(this.next, count, priority, runAt)
    this.next += count
    this.waiting.sort((a, b) => b.priority - a.priority || a.runAt - b.runAt || a.seq - b.seq)
  }

  take(max: number, bytesMax: number): void {
    let fit = 0
    let bytes = 0
    for (const entry of this.waiting.slice(0, max)) {
      bytes += entry.bytes
      if (fit > 0 && bytes > bytesMax) break
      fit++
    }
    const expected = this.waiting.splice(0, fit)
    const seqs = new Float64Array(max)
    const count = this.queue.takeInto(seqs, max, bytesMax)
    expect([...seqs.subarray(0, count)]).toEqual(expected.map((entry) => entry.seq))
    for (const entry of expected) {
      this.set(entry.seq, JobState.active)
      this.taken.push(entry)
    }
  }

  cancel(at: number): void {
    if (this.waiting.length === 0) return
    const entry = this.waiting.splice(at % this.waiting.length, 1)[0] as Entry
    this.jobs.remove(this.jobs.get(entry.seq), entry.seq)
    this.queue.gone()
  }

  release(at: number): void {
    if (this.taken.length === 0) return
    const entry = this.taken.splice(at % this.taken.length, 1)[0] as Entry
    this.set(entry.seq, JobState.waiting)
    this.queue.add(entry.seq, entry.priority, entry.runAt)
    this.waiting.push(entry)
    this.waiting.sort((a, b) => b.priority - a.priority || a.runAt - b.runAt || a.seq - b.seq)
  }

  check(): void {
    expect(this.queue.live).toBe(this.waiting.length)
    expect(this.queue.peekSeq()).toBe(this.waiting[0]?.seq ?? -1)
  }

  private set(seq: number, state: JobState): void {
    const page: JobPage = this.jobs.get(seq)
    page.state[rowOf(seq)] = state
  }
}

const priority = fc.oneof(fc.constantFrom(0, 0, 1), fc.integer({ min: -9, max: 9 }))
const step = fc.oneof(
  fc.tuple(fc.constant('push' as const), fc.integer({ min: 1, max: 30 }), priority, fc.nat(3)),
  fc.tuple(fc.constant('take' as const), fc.integer({ min: 1, max: 40 }), fc.nat(200), fc.nat()),
  fc.tuple(fc.constant('cancel' as const), fc.nat(), fc.integer({ min: 1, max: 9 }), fc.nat()),
  fc.tuple(fc.constant('release' as const), fc.nat(), fc.nat(), fc.nat()),
  fc.tuple(fc.constant('time' as const), fc.nat(5), fc.nat(), fc.nat()),
)

it('jobs come out by priority, run time and id, whatever was pushed, cancelled or released', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
      const pair = new Pair()
      for (const [op, a, b, c] of steps) {
        if (op === 'push') pair.push(a, b, c)
        else if (op === 'take') pair.take(a, b)
        else if (op === 'cancel') for (let i = 0; i < b; i++) pair.cancel(a + i * 31)
        else if (op === 'release') pair.release(a)
        else pair.now += a
        pair.check()
      }
      pair.take(pair.next + 1, Number.POSITIVE_INFINITY)
      pair.check()
    }),
    { numRuns: 150 },
  )
})

it('the order survives thousands of cancels, and their tombstones are swept out', () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat()), (random) => {
      const pick = (): number => random.next().value as number
      const pair = new Pair()
      for (let i = 0; i < 200; i++) {
        pair.push(1 + (pick() % 50), pick() % 12, pick() % 4)
        pair.now += pick() % 2
      }
      for (let round = 0; round < 20; round++) {
        for (let i = 0; i < 220 && pair.waiting.length > 50; i++) pair.cancel(pick())
        pair.push(1 + (pick() % 20), pick() % 12, pick() % 4)
        pair.take(1 + (pick() % 20), pick() % 100)
        pair.check()
        expect(pair.queue.entries).toBeLessThan(pair.waiting.length * 1.5 + 2200)
      }
      pair.take(pair.next, Number.POSITIVE_INFINITY)
    }),
    { numRuns: 20 },
  )
})
