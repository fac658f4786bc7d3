// Random faults against a server under load: nothing that was acknowledged is lost, nothing runs twice in silence.
//
// Each run ends with the verdict of test/chaos/checker.ts over everything that its clients saw. The seed of a
// run is in its title; `CHAOS_SEED=n` repeats it.

import { describe, expect, it, onTestFinished } from 'vitest'
import { durableRun, RETENTION } from '../chaos/durable-run.ts'
import { clientFaults, processFaults, storm } from '../chaos/faults.ts'
import { plans } from '../chaos/plan.ts'
import { postgresFaults, wayFaults } from '../chaos/postgres-faults.ts'
import { report } from '../chaos/report.ts'
import { seedsOf } from '../chaos/seeds.ts'
import { ChaosServer } from '../chaos/server.ts'
import { Workload } from '../chaos/workload.ts'
import { eventually } from '../support/eventually.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const CLIENT_FAULTS = 60

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
      report('memory', seed, workload.history, verdict)
      expect(verdict.violations).toEqual([])
    })
  }
})

describe('the checker', () => {
  it('finds out a server that forgets', async () => {
    const server = await new ChaosServer({ ...RETENTION, WORKERS: '2' }).start()
    const workload = new Workload(server, { ...plans.short, seed: 1 })
    await workload.start()
    await eventually(
      'there is something to forget',
      20_000,
      () => workload.history.ops.length > 500,
    )
    const kill = processFaults(server).filter(({ name }) => name === 'worker killed')
    await storm(kill, 1, workload.random.fork(), workload.history)
    const { violations } = await workload.finish()
    expect(violations.map(({ rule }) => rule)).toContain('I1')
  })
})

describe('with faults everywhere', () => {
  for (const seed of seedsOf(1)) {
    it(`a durable server keeps every promise (seed ${seed})`, async () => {
      const run = await durableRun()
      const workload = new Workload(run.server, { ...plans.short, seed })
      await workload.start()
      const faults = [...processFaults(run.server), ...postgresFaults(run), ...wayFaults(run.proxy)]
      await storm(faults, Number(process.env['N'] ?? 0), workload.random.fork(), workload.history)
      const verdict = await workload.finish()
      report('durable', seed, workload.history, verdict)
      expect(verdict.violations).toEqual([])
    }, 300_000)
  }
})
