// One thing done many times by several clients, each with a few calls under way.

import type { FlashQ } from '../node-flashq.ts'
import type { ProgressBar } from './progress-bar.ts'

export interface BenchPhase {
  readonly name: string
  readonly jobs: number
  readonly elapsedMs: number
  readonly perSecond: number
  readonly callMsP50: number
  readonly callMsP99: number
}

export interface BenchTerms {
  readonly jobs: number
  readonly batch: number
  readonly clients: readonly FlashQ[]
  readonly signal: AbortSignal
  readonly progress: ProgressBar
}

const CALLS_UNDER_WAY = 4

/** `call` does at most `count` of them, and says how many it did. A call that does none ends its row of calls. */
export async function runPhase(
  name: string,
  terms: BenchTerms,
  call: (client: FlashQ, count: number) => Promise<number>,
): Promise<BenchPhase> {
  const times: number[] = []
  const startMs = performance.now()
  let asked = 0
  let done = 0
  const row = async (client: FlashQ): Promise<void> => {
    while (asked < terms.jobs && !terms.signal.aborted) {
      const count = Math.min(terms.batch, terms.jobs - asked)
      asked += count
      const beganMs = performance.now()
      const did = await call(client, count)
      const nowMs = performance.now()
      times.push(nowMs - beganMs)
      asked -= count - did
      done += did
      terms.progress.show(done / terms.jobs, done, nowMs)
      if (did === 0) return
    }
  }
  const rows = terms.clients.flatMap((client) =>
    Array.from({ length: CALLS_UNDER_WAY }, () => row(client)),
  )
  await Promise.all(rows)
  const elapsedMs = performance.now() - startMs
  times.sort((one, other) => one - other)
  return {
    name,
    jobs: done,
    elapsedMs,
    perSecond: elapsedMs === 0 ? 0 : (done * 1000) / elapsedMs,
    callMsP50: quantile(times, 0.5),
    callMsP99: quantile(times, 0.99),
  }
}

/** Of sorted values. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
