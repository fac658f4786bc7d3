// When a cron runs: `*/N` (every N seconds) or a cron expression of five or six fields, in UTC.
//
//   */30            whole text: every 30 s, counted from an anchor, so that late ticks do not add up
//   0 9 * * MON-FRI five fields: second 0
//   0 0 9 15W * ?   six fields; L, LW, W, #, names, lists, ranges, steps, @daily and the like
//
// 1. Restricting both day fields means either (the rule of Vixie's cron).
// 2. A schedule that never matches (30 February) is refused when parsed. The calendar repeats after
//    400 years, so what does not match within them from any day never does: croner looks that far.
// 3. Nothing here reads the clock: croner makes a Date for itself, but with a reference it does not look at it.
// 4. A schedule is its text and a number. croner's parsed form takes 80 kB (a cell for each year to 9999),
//    too much for each of 10,000 crons, and is made again in some 90 µs; the last used are kept (then 5 µs).

import { Cron } from 'croner'
import { limits } from './limits.ts'
import { type Refusal, refusals } from './refusal.ts'

/** A hundred years. */
const INTERVAL_SECONDS_MAX = 3_153_600_000
const PARSED_MAX = 128
/** Any day will do; this one makes parsing the same everywhere and for ever. */
const REFERENCE_MS = Date.UTC(2000, 0, 1)

export interface CronSchedule {
  readonly text: string
  /** Of the form `*\/N`: N seconds; otherwise 0. */
  readonly everyMs: number
}

export function parseSchedule(text: string): CronSchedule | Refusal {
  const bytes = Buffer.byteLength(text)
  if (bytes > limits.scheduleBytesMax) {
    return refusals.cronTooLong(bytes, limits.scheduleBytesMax)
  }
  if (/^\*\/\S*$/.test(text)) return parseInterval(text)
  // croner takes text with a colon for a date, and `/n` for a forgotten `*`; `+` is its own invention.
  const odd = /[:+]|(?:^|[\s,])\//.exec(text)
  if (odd !== null) return refusals.cronExpression(text, `unexpected '${odd[0].trim()}'`)
  try {
    if (nextMatchMs(text, REFERENCE_MS) === null) {
      return refusals.cronExpression(text, 'it never matches')
    }
  } catch (error) {
    return refusals.cronExpression(text, error instanceof Error ? error.message : String(error))
  }
  return { text, everyMs: 0 }
}

/**
 * The first run strictly after `afterMs`. `*\/N` runs at anchor + k * N seconds: give the previous tick as
 * `anchorMs`, and missed ticks are left out. Infinity beyond the year 3000.
 */
export function nextRunMs(schedule: CronSchedule, afterMs: number, anchorMs = afterMs): number {
  const { text, everyMs } = schedule
  if (everyMs === 0) return nextMatchMs(text, afterMs) ?? Number.POSITIVE_INFINITY
  const ticks = Math.floor((afterMs - anchorMs) / everyMs) + 1
  return anchorMs + Math.max(1, ticks) * everyMs
}

/** The newest run before `beforeMs`, of which `fromMs` is one. */
export function newestRunMs(schedule: CronSchedule, fromMs: number, beforeMs: number): number {
  const { text, everyMs } = schedule
  if (everyMs > 0)
    return fromMs + Math.max(0, Math.ceil((beforeMs - fromMs) / everyMs) - 1) * everyMs
  // A moment is before the newest run exactly while the run that follows it is before `beforeMs`.
  let low = fromMs
  let high = beforeMs
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const next = nextMatchMs(text, middle)
    if (next !== null && next < beforeMs) low = middle + 1
    else high = middle
  }
  return low
}

function parseInterval(text: string): CronSchedule | Refusal {
  const digits = /^\*\/(\d+)$/.exec(text)?.[1]
  const seconds = digits === undefined ? 0 : Number(digits)
  if (seconds < 1 || seconds > INTERVAL_SECONDS_MAX) return refusals.cronInterval(text)
  return { text, everyMs: seconds * 1000 }
}

function nextMatchMs(text: string, afterMs: number): number | null {
  return parsedOf(text).nextRun(new Date(afterMs))?.getTime() ?? null
}

/** By text, least recently used first. Only a memo: what it holds changes no answer. */
const parsed = new Map<string, Cron>()

/** Throws croner's complaint. */
function parsedOf(text: string): Cron {
  let cron = parsed.get(text)
  if (cron === undefined) {
    // Without a function it never starts a timer. An offset, unlike a time zone's name, needs no Intl.
    cron = new Cron(text, {
      paused: true,
      utcOffset: 0,
      mode: text.trim().startsWith('@') ? 'auto' : '5-or-6-parts',
      sloppyRanges: true,
      domAndDow: false,
    })
    if (parsed.size >= PARSED_MAX) parsed.delete(parsed.keys().next().value as string)
  } else {
    parsed.delete(text)
  }
  parsed.set(text, cron)
  return cron
}
