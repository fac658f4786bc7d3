import { expect, it } from 'vitest'
import { Pacer } from '../../../../src/transports/events/pacer.ts'

it('a turn takes no more than its share of the time', () => {
  let nowMs = 0
  let turns = 0
  const waits: number[] = []
  let next: (() => void) | null = null
  const moments = {
    nowMs: () => nowMs,
    later: (delayMs: number, task: () => void) => {
      waits.push(delayMs)
      next = task
    },
  }
  const pacer = new Pacer(0.1, moments, () => {
    turns++
    nowMs += 2
    return turns < 3
  })
  const run = (): void => {
    nowMs += waits.at(-1) ?? 0
    const task = next
    next = null
    task?.()
  }
  pacer.schedule()
  pacer.schedule()
  expect(waits).toEqual([0])
  run()
  run()
  run()
  expect(waits).toEqual([0, 18, 18])
  expect(turns).toBe(3)
  // It had nothing more to do, and asks again after a pause.
  nowMs += 100
  pacer.schedule()
  expect(waits.at(-1)).toBe(0)
})
