import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { JobRow } from '../../../../src/engine/storage-port.ts'
import { dayOf } from '../../../../src/storage/postgres/checkpoint/history-days.ts'
import {
  FinishedBefore,
  HistoryRows,
} from '../../../../src/storage/postgres/checkpoint/history-rows.ts'
import { jobRow, KeptRows } from '../../../support/job-rows.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const NOW_MS = 20_000 * DAY_MS + 5000
const row = fc.sample(jobRow, { numRuns: 1, seed: 3 })[0] as JobRow

function finishedAt(finishedAtMs: number, id = 1): JobRow {
  return { ...row, id, state: 'completed', finishedAtMs }
}

it('the finished jobs of a checkpoint are known again, in whatever order they came, and passed on', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(5000), { maxLength: 3000 }), (ids) => {
      const kept = new KeptRows()
      const before = new FinishedBefore(kept)
      const states = ['completed', 'waiting', 'failed', 'active']
      for (const id of ids) before.job({ ...row, id, state: states[id % 4] as string })
      before.checkpointEnded()
      for (let id = 0; id <= 5000; id++) {
        expect(before.has(id)).toBe(ids.includes(id) && id % 2 === 0)
      }
      expect(kept.rows.map(({ id }) => id)).toEqual(ids)
    }),
    { numRuns: 5 },
  )
})

it('needs the days in which new jobs finished, today, and tomorrow ahead', () => {
  const before = new FinishedBefore(new KeptRows())
  before.job(finishedAt(NOW_MS - 3 * DAY_MS, 7))
  const rows = new HistoryRows(3, before, NOW_MS, 5)
  const today = dayOf(NOW_MS)
  const daysOf = (...jobs: JobRow[]): number[] => [...rows.days(jobs)].sort((a, b) => a - b)
  expect(daysOf()).toEqual([today, today + 1])
  // Written before, too old, just not too old; clocks that are far ahead are held back.
  expect(daysOf(finishedAt(NOW_MS - 3 * DAY_MS, 7))).toEqual([today, today + 1])
  expect(daysOf(finishedAt(NOW_MS - 6 * DAY_MS, 8))).toEqual([today, today + 1])
  expect(daysOf(finishedAt(NOW_MS - 5 * DAY_MS, 8))).toEqual([today - 5, today, today + 1])
  expect(daysOf(finishedAt(8e15, 8))).toEqual([today, today + 1])
})
