// What the node did in the last 24 hours, in ever coarser points:
//
//   5 s for 10 min   ─┐
//   1 min for 2 h    ─┼─▶ points, oldest first: of each moment the finest that there is
//   10 min for 24 h  ─┘
//
// 1. A point stands at the end of its slot, which is a multiple of its width: those of all workers are at the same moments.
// 2. A coarse point is made of the fine ones of its slot: means of what was there, the last of what only rises.
// 3. At most 384 points are kept.

export interface HistoryPoint {
  /** Unix ms. */
  readonly timestamp: number
  readonly queued: number
  readonly processing: number
  readonly delayed: number
  readonly dlq: number
  /** Since the beginning. */
  readonly completed: number
  readonly failed: number
  /** Completed jobs per second. */
  readonly throughput: number
  /** Mean time from push to ack. */
  readonly latency_ms: number
}

export const SLOT_MS = 5000
const MINUTE_MS = 60_000

const tiers = [
  { slotMs: SLOT_MS, keepMs: 10 * MINUTE_MS },
  { slotMs: MINUTE_MS, keepMs: 120 * MINUTE_MS },
  { slotMs: 10 * MINUTE_MS, keepMs: 24 * 60 * MINUTE_MS },
] as const

export const historyRanges = { '15m': 15, '1h': 60, '24h': 24 * 60 } as const
export type HistoryRange = keyof typeof historyRanges

/** Of the answer when nobody asks for a range. */
const POINTS_SHOWN = 60

/** By tier, the finest first: what crosses links. */
export type HistoryTiers = readonly (readonly HistoryPoint[])[]

export class History {
  private tiers: HistoryPoint[][] = tiers.map(() => [])
  /** By tier above the first: points of the slot that is not over. */
  private open: HistoryPoint[][] = tiers.map(() => [])

  /** The last point that was added. */
  get last(): HistoryPoint | undefined {
    return this.tiers[0]?.at(-1)
  }

  /** `point` is of a later slot than all before. */
  add(point: HistoryPoint): void {
    this.addTo(0, point)
  }

  /** Takes over what another worker remembers and this one does not. */
  adopt(known: HistoryTiers): void {
    this.tiers = mergeHistory([this.tiers, known])
  }

  all(): HistoryTiers {
    return this.tiers
  }

  private addTo(tier: number, point: HistoryPoint): void {
    const width = tiers[tier]
    const points = this.tiers[tier]
    if (width === undefined || points === undefined) return
    points.push(point)
    const oldestMs = point.timestamp - width.keepMs
    while ((points[0]?.timestamp ?? Number.POSITIVE_INFINITY) <= oldestMs) points.shift()
    this.gather(tier + 1, point)
  }

  private gather(tier: number, point: HistoryPoint): void {
    const width = tiers[tier]
    const open = this.open[tier]
    if (width === undefined || open === undefined) return
    const [first] = open
    if (first !== undefined && endOfSlot(first, width.slotMs) < point.timestamp) {
      this.closeSlot(tier, open, width.slotMs)
    }
    this.open[tier]?.push(point)
    if (point.timestamp % width.slotMs === 0)
      this.closeSlot(tier, this.open[tier] ?? [], width.slotMs)
  }

  private closeSlot(tier: number, points: readonly HistoryPoint[], slotMs: number): void {
    this.open[tier] = []
    const [first] = points
    if (first !== undefined) this.addTo(tier, meanOf(points, endOfSlot(first, slotMs)))
  }
}

/** Of each moment the point of the first that has it: the answer is the same whoever puts it together. */
export function mergeHistory(histories: readonly HistoryTiers[]): HistoryPoint[][] {
  return tiers.map((_, tier) => {
    const byTime = new Map<number, HistoryPoint>()
    for (const history of histories) {
      for (const point of history[tier] ?? []) {
        if (!byTime.has(point.timestamp)) byTime.set(point.timestamp, point)
      }
    }
    return [...byTime.values()].sort((a, b) => a.timestamp - b.timestamp)
  })
}

/** `range` null: the newest 60 of the finest points. */
export function shownHistory(
  history: HistoryTiers,
  range: HistoryRange | null,
  nowMs: number,
): HistoryPoint[] {
  if (range === null) return (history[0] ?? []).slice(-POINTS_SHOWN)
  const sinceMs = nowMs - historyRanges[range] * MINUTE_MS
  let shown: HistoryPoint[] = []
  for (const points of history) {
    const finerFrom = shown[0]?.timestamp ?? Number.POSITIVE_INFINITY
    shown = [...points.filter(({ timestamp }) => timestamp < finerFrom), ...shown]
  }
  return shown.filter(({ timestamp }) => timestamp > sinceMs)
}

function endOfSlot({ timestamp }: HistoryPoint, slotMs: number): number {
  return Math.ceil(timestamp / slotMs) * slotMs
}

function meanOf(points: readonly HistoryPoint[], timestamp: number): HistoryPoint {
  const last = points.at(-1) as HistoryPoint
  const mean = (of: (point: HistoryPoint) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  return {
    timestamp,
    queued: Math.round(mean((point) => point.queued)),
    processing: Math.round(mean((point) => point.processing)),
    delayed: Math.round(mean((point) => point.delayed)),
    dlq: Math.round(mean((point) => point.dlq)),
    completed: last.completed,
    failed: last.failed,
    throughput: round2(mean((point) => point.throughput)),
    latency_ms: round2(mean((point) => point.latency_ms)),
  }
}

export function round2(value: number): number {
  return Math.round(value * 100) / 100
}
