// Numbers, times and durations as people write and read them.

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** `250`, `250ms`, `1.5s`, `2m`, `1h`, `7d` in ms; null when it is none. */
export function parseDuration(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text)
  if (found === null) return null
  const [, amount = '', unit = 'ms'] = found
  const ms = Math.round(Number(amount) * (UNIT_MS[unit] ?? 1))
  return Number.isSafeInteger(ms) ? ms : null
}

/** Unix ms of a date (ISO 8601, or Unix ms), or of a duration before now; null when it is none. */
export function parseMoment(text: string, nowMs: number): number | null {
  if (/^\d{11,}$/.test(text)) return Number(text)
  const agoMs = parseDuration(text)
  if (agoMs !== null) return nowMs - agoMs
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) ? null : ms
}

/** `0 ms`, `1.5 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${trimmed(ms / 1000)} s`
  const [large, small] = largestUnits(Math.round(ms / 1000))
  return small === '' ? large : `${large} ${small}`
}

/** `2026-11-24 10:15:30.123Z`; a dash for 0, which stands for never. */
export function momentText(ms: number | null): string {
  if (ms === null || ms === 0 || !Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return '-'
  return new Date(ms).toISOString().replace('T', ' ')
}

/** Thousands apart. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** Per second: `0`, `0.4`, `12`, `1,234`. */
export function rateText(perSecond: number): string {
  const size = Math.abs(perSecond)
  return size > 0 && size < 10 ? trimmed(perSecond) : countText(perSecond)
}

function largestUnits(seconds: number): [large: string, small: string] {
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ]
  const from = parts.findIndex(([amount]) => amount > 0)
  const text = (part: [number, string] | undefined): string =>
    part === undefined || part[0] === 0 ? '' : `${part[0]} ${part[1]}`
  return [text(parts[from]), text(parts[from + 1])]
}

function trimmed(amount: number): string {
  return amount.toFixed(1).replace(/\.0$/, '')
}
