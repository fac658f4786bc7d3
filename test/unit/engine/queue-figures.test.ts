import { describe, expect, it } from 'vitest'
import { JobState } from '../../../src/engine/job-store.ts'
import { mergeTopQueues, OTHER_QUEUES, topQueues } from '../../../src/engine/queue-figures.ts'
import { ShardState } from '../../../src/engine/shard-state.ts'

const NOW = 10_000

/** A state whose queues have so many delayed jobs, by name. */
function stateOf(sizes: Readonly<Record<string, number>>): ShardState {
  const state = new ShardState(0, 1)
  for (const [name, size] of Object.entries(sizes)) {
    const queue = state.openQueue(state.nextQueueNo(), name)
    queue.used = true
    queue.delayed = size
  }
  return state
}

function addReady(state: ShardState, name: string, seq: number, runAtMs: number): void {
  const queue = state.queuesByName.get(name)
  if (queue === undefined) throw new Error(`no queue ${name}`)
  const page = state.jobs.open(seq)
  page.state[seq] = JobState.waiting
  page.runAt[seq] = runAtMs
  state.jobs.added(page, 1)
  queue.ready.add(seq, 0, runAtMs)
}

describe('the largest queues', () => {
  it('are named, and the rest is one', () => {
    const state = stateOf({ a: 1, b: 5, c: 3, d: 2 })
    const { top, other, otherCount } = topQueues([state], 2, NOW)
    expect(top.map(({ name, delayed }) => [name, delayed])).toEqual([
      ['b', 5],
      ['c', 3],
    ])
    expect(other).toMatchObject({ name: OTHER_QUEUES, delayed: 3 })
    expect(otherCount).toBe(2)
  })

  it('are as many as allowed, whatever the number of queues', () => {
    const sizes: Record<string, number> = {}
    for (let n = 0; n < 1000; n++) sizes[`q${n}`] = n
    const { top, other, otherCount } = topQueues([stateOf(sizes)], 10, NOW)
    expect(top.map(({ name }) => name)).toEqual(Array.from({ length: 10 }, (_, i) => `q${999 - i}`))
    expect(otherCount).toBe(990)
    expect(other.delayed).toBe((989 * 990) / 2)
  })

  it('may be none', () => {
    const { top, other } = topQueues([stateOf({ a: 4 })], 0, NOW)
    expect(top).toEqual([])
    expect(other.delayed).toBe(4)
  })

  it('do not include one that is called as the rest is', () => {
    const { top, other, otherCount } = topQueues([stateOf({ [OTHER_QUEUES]: 9, a: 1 })], 5, NOW)
    expect(top.map(({ name }) => name)).toEqual(['a'])
    expect(other.delayed).toBe(9)
    expect(otherCount).toBe(1)
  })

  it('are chosen anew over all workers', () => {
    const one = topQueues([stateOf({ a: 1, b: 9 })], 1, NOW)
    const two = topQueues([stateOf({ c: 7, d: 2 })], 1, NOW)
    const { top, other, otherCount } = mergeTopQueues([one, two], 1)
    expect(top.map(({ name }) => name)).toEqual(['b'])
    expect(other.delayed).toBe(1 + 7 + 2)
    expect(otherCount).toBe(3)
  })
})

describe('the age of the job that is next', () => {
  it('is the time since it was ready', () => {
    const state = stateOf({ a: 0 })
    addReady(state, 'a', 1, NOW - 4000)
    addReady(state, 'a', 2, NOW - 100)
    expect(topQueues([state], 1, NOW).top[0]).toMatchObject({ waiting: 2, oldestMs: 4000 })
  })

  it('is 0 when nothing is ready, and of the rest the greatest', () => {
    const state = stateOf({ a: 0, b: 0 })
    addReady(state, 'a', 1, NOW - 30)
    addReady(state, 'b', 2, NOW - 50)
    expect(topQueues([stateOf({ a: 3 })], 1, NOW).top[0]?.oldestMs).toBe(0)
    expect(topQueues([state], 0, NOW).other.oldestMs).toBe(50)
  })
})
