// `make chaos`: longer runs, other seeds each time. CHAOS_RUNS, CHAOS_FAULTS; CHAOS_SEED=n repeats one run.

import { afterAll, describe, expect, it } from 'vitest'
import type { Verdict } from './checker.ts'
import { durableRun, storms } from './durable-run.ts'
import { storm } from './faults.ts'
import { plans } from './plan.ts'
import { report } from './report.ts'
import { seedsOf } from './seeds.ts'
import { Workload } from './workload.ts'

const RUNS = 3
const FAULTS = Number(process.env['CHAOS_FAULTS'] ?? 300)
const RUN_MS_MAX = 30 * 60_000

const verdicts: Verdict[] = []
afterAll(() => {
  const sum = (count: (verdict: Verdict) => number): number =>
    verdicts.reduce((total, verdict) => total + count(verdict), 0)
  process.stdout.write(
    `chaos in all: ${sum(({ coverage }) => coverage.faults)} faults, ` +
      `${sum(({ coverage }) => coverage.ackedPushes)} acknowledged pushes, ` +
      `${sum(({ coverage }) => coverage.completions)} completions, ` +
      `${sum(({ coverage }) => coverage.ticks)} ticks, ` +
      `${sum(({ coverage: { unknown } }) => unknown.push + unknown.pull + unknown.run)} unknown, ` +
      `${sum(({ violations }) => violations.length)} violations\n`,
  )
})

describe('a long run with faults everywhere', () => {
  for (const seed of seedsOf(RUNS)) {
    const title = `a durable server keeps every promise (seed ${seed})`
    it(title, { timeout: RUN_MS_MAX }, async () => {
      // Here PostgreSQL also waits for the disk.
      const run = await durableRun({ fsync: 'on' })
      const workload = new Workload(run.server, { ...plans.long, seed })
      await workload.start()
      await storm(storms(run), FAULTS, workload.random.fork(), workload.history)
      const verdict = await workload.finish()
      verdicts.push(verdict)
      report('chaos', 'a durable server', seed, workload.history, verdict)
      expect(verdict.violations).toEqual([])
    })
  }
})
