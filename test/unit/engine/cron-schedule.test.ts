import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  type CronSchedule,
  newestRunMs,
  nextRunMs,
  parseSchedule,
} from '../../../src/engine/cron-schedule.ts'
import type { Refusal } from '../../../src/engine/refusal.ts'

function parsed(text: string): CronSchedule {
  const schedule = parseSchedule(text)
  if ('code' in schedule) throw new Error(schedule.text)
  return schedule
}

function refused(text: string): string {
  const schedule = parseSchedule(text)
  if (!('code' in schedule)) throw new Error(`${text} was accepted`)
  expect(schedule.code).toBe('cron_invalid')
  return (schedule satisfies Refusal).text
}

/** The first runs after a time, as ISO without milliseconds. */
function runs(text: string, after: string, count = 1): string[] {
  const schedule = parsed(text)
  const out: string[] = []
  let atMs = Date.parse(after)
  for (let i = 0; i < count; i++) {
    atMs = nextRunMs(schedule, atMs)
    out.push(new Date(atMs).toISOString().replace('.000Z', 'Z'))
  }
  return out
}

describe('an interval schedule', () => {
  it('runs N seconds later, milliseconds kept', () => {
    expect(runs('*/30', '2026-07-22T10:00:00.500Z', 2)).toEqual([
      '2026-07-22T10:00:30.500Z',
      '2026-07-22T10:01:00.500Z',
    ])
  })

  it('leaves missed ticks out and stays on its anchor', () => {
    const schedule = parsed('*/10')
    expect(nextRunMs(schedule, 1003, 1000)).toBe(11_000)
    expect(nextRunMs(schedule, 11_000, 1000)).toBe(21_000)
    expect(nextRunMs(schedule, 95_500, 1000)).toBe(101_000)
    expect(nextRunMs(schedule, 500, 1000)).toBe(11_000)
  })

  it.each(['*/0', '*/', '*/abc', '*/-5', '*/5s', '*/1.5', '*/99999999999999999999'])(
    'is refused when it is %s',
    (text) => {
      expect(refused(text)).toBe(`Invalid interval format: ${text}`)
    },
  )

  it('is only the whole text: an expression may begin alike', () => {
    expect(runs('*/5 * * * *', '2026-07-22T10:00:00Z')).toEqual(['2026-07-22T10:05:00Z'])
    expect(runs('*/10 * * * * *', '2026-07-22T10:00:00Z')).toEqual(['2026-07-22T10:00:10Z'])
  })
})

describe('a cron expression', () => {
  it.each([
    ['five fields run at second 0', '30 9 * * *', '2026-07-22T10:00:00Z', '2026-07-23T09:30:00Z'],
    ['six fields have seconds', '15 30 9 * * *', '2026-07-22T00:00:00Z', '2026-07-22T09:30:15Z'],
    [
      'milliseconds are passed over',
      '* * * * * *',
      '2026-07-22T10:00:00.500Z',
      '2026-07-22T10:00:01Z',
    ],
    ['the last second of a year', '0 0 1 1 *', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00Z'],
    ['a run is strictly later', '0 0 1 1 *', '2027-01-01T00:00:00Z', '2028-01-01T00:00:00Z'],
    ['a leap day', '0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['a leap day over 2100', '0 0 29 2 *', '2096-03-01T00:00:00Z', '2104-02-29T00:00:00Z'],
    ['February has no 31st', '0 0 31 * *', '2026-01-31T12:00:00Z', '2026-03-31T00:00:00Z'],
    ['the last day', '0 0 L * *', '2028-02-01T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['the last weekday', '0 0 LW * *', '2026-05-01T00:00:00Z', '2026-05-29T00:00:00Z'],
    ['the last Friday', '0 0 * * 5L', '2026-07-01T00:00:00Z', '2026-07-31T00:00:00Z'],
    ['the second Friday', '0 0 * * 5#2', '2026-07-11T00:00:00Z', '2026-08-14T00:00:00Z'],
    ['a fifth Monday', '0 0 * * MON#5', '2026-07-01T00:00:00Z', '2026-08-31T00:00:00Z'],
    [
      'the weekday next to a Saturday',
      '0 0 15W * *',
      '2026-08-01T00:00:00Z',
      '2026-08-14T00:00:00Z',
    ],
    ['the weekday next to a Sunday', '0 0 15W * *', '2026-11-01T00:00:00Z', '2026-11-16T00:00:00Z'],
    ['names in any case', '0 0 1 jAn-mar *', '2026-04-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['7 is Sunday', '0 0 * * 7', '2026-07-22T00:00:00Z', '2026-07-26T00:00:00Z'],
    ['0 is Sunday', '0 0 * * 0', '2026-07-22T00:00:00Z', '2026-07-26T00:00:00Z'],
    ['a range that ends on SUN', '0 0 * * SAT-SUN', '2026-07-25T00:00:00Z', '2026-07-26T00:00:00Z'],
    ['? is *', '0 0 ? * ?', '2026-07-22T00:00:00Z', '2026-07-23T00:00:00Z'],
    ['a step from a number', '5/20 * * * *', '2026-07-22T10:26:00Z', '2026-07-22T10:45:00Z'],
    ['a step in a range', '0 8-18/5 * * *', '2026-07-22T10:00:00Z', '2026-07-22T13:00:00Z'],
    ['lists', '0 0 * * mon,wed', '2026-07-20T00:00:00Z', '2026-07-22T00:00:00Z'],
    ['@hourly', '@hourly', '2026-07-22T10:00:00Z', '2026-07-22T11:00:00Z'],
    ['@DAILY', '@DAILY', '2026-07-22T10:00:00Z', '2026-07-23T00:00:00Z'],
    ['@weekly', '@weekly', '2026-07-22T10:00:00Z', '2026-07-26T00:00:00Z'],
    ['@monthly', '@monthly', '2026-07-22T10:00:00Z', '2026-08-01T00:00:00Z'],
    ['@yearly', '@yearly', '2026-07-22T10:00:00Z', '2027-01-01T00:00:00Z'],
    ['@annually', '@annually', '2026-07-22T10:00:00Z', '2027-01-01T00:00:00Z'],
  ])('%s', (_title, text, after, expected) => {
    expect(runs(text, after)).toEqual([expected])
  })

  it('with both day fields restricted runs on either', () => {
    expect(runs('0 0 13 * FRI', '2026-07-09T00:00:00Z', 3)).toEqual([
      '2026-07-10T00:00:00Z',
      '2026-07-13T00:00:00Z',
      '2026-07-17T00:00:00Z',
    ])
  })

  it('knows no summer time: every hour of the days when clocks change runs once', () => {
    expect(runs('0 * * * *', '2026-03-29T00:00:00Z', 3)).toEqual([
      '2026-03-29T01:00:00Z',
      '2026-03-29T02:00:00Z',
      '2026-03-29T03:00:00Z',
    ])
    expect(runs('30 2 * * *', '2026-03-28T02:30:00Z')).toEqual(['2026-03-29T02:30:00Z'])
  })

  it.each([
    '',
    ' ',
    '*',
    '* * * *',
    '0 0 1 1 * * 2030',
    '2030-01-01T00:00:00',
    '60 * * * *',
    '0 24 * * *',
    '0 0 0 * *',
    '0 0 32 * *',
    '0 0 * 13 *',
    '0 0 * * 8',
    '0 0 * * 1#6',
    '0 0 * * L',
    'a * * * *',
    '1,,2 * * * *',
    '5-1 * * * *',
    '*/0 * * * *',
    '* * * * */0',
    '1-5/0 * * * *',
    '5/0 * * * *',
    '*/61 * * * *',
    '/5 * * * *',
    '1-99999999 * * * *',
    '0 0 * * +MON',
    '@reboot',
    '@every 5s',
    'TZ=Mars/Olympus 0 0 * * *',
    '0 0 1W-5W * *',
    '0 0 * * MON\u0000',
  ])('is refused when it is %j', (text) => {
    expect(refused(text)).toContain(`Invalid cron expression '${text}': `)
  })

  it.each(['0 0 30 2 *', '0 0 31 2 *', '* * * 31 4 *', '0 0 31W 2,4,6,9,11 *'])(
    'is refused when it never matches, without a long search: %s',
    (text) => {
      const days = vi.spyOn(Date, 'UTC')
      expect(refused(text)).toMatch(/it never matches$/)
      expect(days.mock.calls.length).toBeLessThan(100_000)
    },
  )

  it('is refused when it is longer than 256 bytes', () => {
    expect(refused('0'.repeat(257))).toBe('Cron schedule too long (257 chars, max 256 chars)')
    expect(refused(','.repeat(10_000))).toContain('too long')
    expect(refused('é'.repeat(129))).toContain('258')
  })

  it.each([
    ['*/7', 0],
    ['* * * * * *', 0],
    ['*/20 * * * * *', 0],
    ['0 30 9 * * MON-FRI', 200],
    ['0 0 29 2 *', 3000],
  ])(
    '%s: the newest run before a moment is the last of those that come one by one',
    (text, days) => {
      const schedule = parsed(text)
      const first = nextRunMs(schedule, Date.UTC(2026, 0, 1))
      for (const seconds of [0.001, 0.999, 1, 1.001, 59, 60, 61.5, 100, days * 86_400]) {
        const before = first + Math.round(seconds * 1000)
        if (before <= first) continue
        let newest = first
        for (let at = first; at < before; at = nextRunMs(schedule, at)) newest = at
        expect(newestRunMs(schedule, first, before)).toBe(newest)
      }
    },
  )

  it('does not depend on the clock, the time zone or what was asked before', () => {
    vi.useFakeTimers({ now: Date.UTC(1999, 0, 1) })
    expect(runs('0 12 * * *', '2026-07-22T10:00:00Z')).toEqual(['2026-07-22T12:00:00Z'])
    for (let minute = 0; minute < 60; minute++) {
      for (let hour = 0; hour < 5; hour++) parsed(`${minute} ${hour} * * *`)
    }
    vi.setSystemTime(Date.UTC(2200, 0, 1))
    expect(runs('0 12 * * *', '2026-07-22T10:00:00Z')).toEqual(['2026-07-22T12:00:00Z'])
    expect(vi.getTimerCount()).toBe(0)
  })

  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })
})
