// Random faults against a server under load: nothing that was acknowledged is lost, nothing runs twice in silence.
//
// Each run ends with the verdict of test/chaos/checker.ts over everything that its clients saw. A run's seed is in
// its title; `CHAOS_SEED=n` repeats it. `make chaos` runs longer.

import { describe, expect, it, onTestFinished } from 'vitest'
import { durableRun, RETENTION, storms } from '../chaos/durable-run.ts'
import { clientFaults, processFaults, storm } from '../chaos/faults.ts'
import { plans } from '../chaos/plan.ts'
import { named } from '../chaos/postgres-faults.ts'
import { report } from '../chaos/report.ts'
import { seedsOf } from '../chaos/seeds.ts'
import { ChaosServer } from '../chaos/server.ts'
import { Workload } from '../chaos/workload.ts'
import { eventually } from '../support/eventually.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const CLIENT_FAULTS = 40
/** Of one run with everything; there are two. */
const FAULTS = 100
const RUN_MS_MAX = 300_000
const LOAD_MS_MAX = 30_000

describe('with connections that break', () => {
  for (const seed of seedsOf(1)) {
    it(`a server in memory mode keeps every promise (seed ${seed})`, async () => {
      const server = await new ChaosServer({ ...RETENTION, WORKERS: '3' }).start()
      const proxy = await new TcpProxy(() => server.where()).start()
      onTestFinished(() => proxy.stop())
      const target = { where: () => ({ host: '127.0.0.1', port: proxy.port }) }
      const workload = new Workload(target, { ...plans.short, seed })
      await workload.start()
      await storm(clientFaults(proxy), CLIENT_FAULTS, workload.random.fork(), workload.history)
      const verdict = await workload.finish()
      report('integration', 'memory mode', seed, workload.history, verdict)
      expect(verdict.violations).toEqual([])
    })
  }
})

describe('with faults everywhere', () => {
  for (const seed of seedsOf(2)) {
    const title = `a durable server keeps every promise (seed ${seed})`
    it(title, { timeout: RUN_MS_MAX }, async () => {
      const run = await durableRun()
      const workload = new Workload(run.server, { ...plans.short, seed })
      await workload.start()
      await storm(storms(run), FAULTS, workload.random.fork(), workload.history)
      const verdict = await workload.finish()
      report('integration', 'a durable server', seed, workload.history, verdict)
      expect(verdict.violations).toEqual([])
      expect(verdict.coverage.faults).toBe(FAULTS)
    })
  }
})

describe('a planned restart of all workers', () => {
  it('is no error for any client, and costs no run', async () => {
    const run = await durableRun()
    const workload = new Workload(run.server, { ...plans.gentle, seed: 1 })
    await workload.start()
    await loaded(workload, 500)
    run.server.process.signal('SIGHUP')
    await eventually('all are restarted', LOAD_MS_MAX, () => {
      return run.server.process.find('all workers were restarted') !== undefined
    })
    await loaded(workload, workload.history.ops.length + 500)
    const { violations, coverage } = await workload.finish()
    report('integration', 'a planned restart', 1, workload.history, { violations, coverage })
    expect(violations).toEqual([])
    const { refused, unknown, redeliveries } = coverage
    expect({ refused, unknown, redeliveries }).toEqual({
      refused: {},
      unknown: { push: 0, pull: 0, run: 0 },
      redeliveries: 0,
    })
  })
})

describe('the checker', () => {
  it('finds out a server that forgets', async () => {
    const server = await new ChaosServer({ ...RETENTION, WORKERS: '2' }).start()
    const workload = new Workload(server, { ...plans.short, seed: 1 })
    await workload.start()
    await loaded(workload, 500)
    const kill = [named(processFaults(server), 'worker killed')]
    await storm(kill, 1, workload.random.fork(), workload.history)
    const { violations } = await workload.finish()
    expect(violations.map(({ rule }) => rule)).toContain('I1')
  })
})

/** So much was asked. */
async function loaded({ history }: Workload, count: number): Promise<void> {
  await eventually('there is load', LOAD_MS_MAX, () => history.ops.length > count)
}
