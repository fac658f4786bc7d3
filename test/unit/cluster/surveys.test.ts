import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Surveys } from '../../../src/cluster/surveys.ts'

function setUp(others: number[]) {
  const asked: [number, number, string][] = []
  const full = new Set<number>()
  const dead = new Set<number>()
  const surveys = new Surveys({
    worker: 0,
    incarnation: 7,
    others: () => others,
    incarnationOf: (worker) => worker + 100,
    ask: (worker, no, topic) => {
      if (dead.has(worker)) return null
      if (full.has(worker)) return false
      asked.push([worker, no, topic])
      return true
    },
  })
  surveys.answer('topic', () => 'mine')
  return { surveys, asked, full, dead }
}

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

const mine = { worker: 0, incarnation: 7, value: 'mine' }

describe('a survey', () => {
  it('is answered by this worker alone when there is no other', async () => {
    expect(await setUp([]).surveys.ask('topic')).toEqual({ answers: [mine], silent: [] })
  })

  it('has the answers of all workers, in their order', async () => {
    const { surveys, asked } = setUp([1, 2])
    const result = surveys.ask('topic')
    expect(asked).toEqual([
      [1, 1, 'topic'],
      [2, 1, 'topic'],
    ])
    surveys.surveyed(2, 1, '"two"')
    surveys.surveyed(1, 1, '{"one":1}')
    expect(await result).toEqual({
      answers: [
        mine,
        { worker: 1, incarnation: 101, value: { one: 1 } },
        { worker: 2, incarnation: 102, value: 'two' },
      ],
      silent: [],
    })
  })

  it('says who has not answered in time', async () => {
    const { surveys } = setUp([1, 2])
    const result = surveys.ask('topic')
    surveys.surveyed(1, 1, '1')
    vi.advanceTimersByTime(2000)
    expect(await result).toMatchObject({ answers: [mine, { worker: 1 }], silent: [2] })
    surveys.surveyed(2, 1, '2')
  })

  it('does not wait for a worker that dies, and calls one silent that it can not ask', async () => {
    const { surveys, full, dead } = setUp([1, 2, 3])
    full.add(1)
    dead.add(3)
    const result = surveys.ask('topic')
    surveys.workerLost(2)
    expect(await result).toEqual({ answers: [mine], silent: [1] })
  })

  it('knows several at once by their numbers', async () => {
    const { surveys } = setUp([1])
    const first = surveys.ask('topic')
    const second = surveys.ask('other')
    surveys.surveyed(1, 2, '"second"')
    surveys.surveyed(1, 1, '"first"')
    expect((await first).answers[1]?.value).toBe('first')
    expect((await second).answers.map(({ value }) => value)).toEqual([null, 'second'])
  })

  it('is null where nobody has an answer', () => {
    expect(setUp([]).surveys.here('nothing')).toBeNull()
  })
})
