import { describe, expect, it } from 'vitest'
import {
  History,
  type HistoryPoint,
  mergeHistory,
  SLOT_MS,
  shownHistory,
} from '../../../../src/transports/metrics/history.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const START = 1_800_000_000_000 - (1_800_000_000_000 % (10 * MINUTE_MS))

const pointAt = (timestamp: number, more: Partial<HistoryPoint> = {}): HistoryPoint => ({
  timestamp,
  queued: 0,
  processing: 0,
  delayed: 0,
  dlq: 0,
  completed: 0,
  failed: 0,
  throughput: 0,
  latency_ms: 0,
  ...more,
})

/** A point for each slot up to `ms` after the start; `queued` is the number of the slot. */
function filled(ms: number): History {
  const history = new History()
  for (let slot = 1; slot * SLOT_MS <= ms; slot++) {
    history.add(pointAt(START + slot * SLOT_MS, { queued: slot, completed: slot * 10 }))
  }
  return history
}

describe('the history', () => {
  it('keeps 10 minutes of 5 s, 2 hours of 1 min and 24 hours of 10 min, and no more', () => {
    const history = filled(DAY_MS + 60 * MINUTE_MS)
    expect(history.all().map((points) => points.length)).toEqual([120, 120, 144])
    const [fine = [], , coarse = []] = history.all()
    expect(fine.at(-1)?.timestamp).toBe(START + DAY_MS + 60 * MINUTE_MS)
    expect(coarse[0]?.timestamp).toBe(START + 70 * MINUTE_MS)
  })

  it('makes a coarse point of the fine ones of its slot: the mean of what is there, the last of what rises', () => {
    const [, minutes = []] = filled(MINUTE_MS).all()
    expect(minutes).toEqual([
      pointAt(START + MINUTE_MS, { queued: Math.round(6.5), completed: 120 }),
    ])
  })

  it('closes a slot whose last points are missing when a later one comes', () => {
    const history = new History()
    history.add(pointAt(START + 5000, { queued: 4 }))
    history.add(pointAt(START + 10_000, { queued: 6 }))
    expect(history.all()[1]).toEqual([])
    history.add(pointAt(START + MINUTE_MS + 5000, { queued: 100 }))
    expect(history.all()[1]).toEqual([pointAt(START + MINUTE_MS, { queued: 5 })])
  })

  it('shows 60 points of 5 s by default', () => {
    const shown = shownHistory(filled(20 * MINUTE_MS).all(), null, START + 20 * MINUTE_MS)
    expect(shown).toHaveLength(60)
    expect(shown.at(-1)?.timestamp).toBe(START + 20 * MINUTE_MS)
    expect((shown[1]?.timestamp ?? 0) - (shown[0]?.timestamp ?? 0)).toBe(SLOT_MS)
  })

  it('shows a range at the finest resolution that each moment has', () => {
    const nowMs = START + DAY_MS
    const shown = shownHistory(filled(DAY_MS).all(), '24h', nowMs)
    const steps = shown.slice(1).map(({ timestamp }, i) => timestamp - (shown[i]?.timestamp ?? 0))
    expect([...new Set(steps)]).toEqual([10 * MINUTE_MS, MINUTE_MS, SLOT_MS])
    expect(shown.length).toBeLessThan(384)
    const quarter = shownHistory(filled(DAY_MS).all(), '15m', nowMs)
    expect(quarter[0]?.timestamp).toBeGreaterThan(nowMs - 15 * MINUTE_MS)
    expect(shownHistory(filled(DAY_MS).all(), '1h', nowMs).length).toBe(50 + 120)
  })

  it('is the same whoever puts it together, and goes on after it was taken over', () => {
    const one = filled(2 * MINUTE_MS)
    const two = new History()
    two.adopt(mergeHistory([one.all(), two.all()]))
    expect(two.all()).toEqual(one.all())
    two.add(pointAt(START + 2 * MINUTE_MS + SLOT_MS))
    const merged = mergeHistory([one.all(), two.all()])
    expect(merged[0]).toHaveLength(25)
    expect(mergeHistory([merged, two.all()])).toEqual(merged)
  })

  it('prefers the point of the first worker that has one', () => {
    const one = new History()
    one.add(pointAt(START, { queued: 1 }))
    const two = new History()
    two.add(pointAt(START, { queued: 2 }))
    expect(mergeHistory([one.all(), two.all()])[0]?.[0]?.queued).toBe(1)
  })
})
