// Faults F30 to F33, F37 to F45, F48 and F49 of the catalogue: PostgreSQL, and the way to it. Each test that runs a
// server ends with the verdict of the checker over everything that its clients saw.

import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Verdict } from '../chaos/checker.ts'
import { dataOf } from '../chaos/evidence.ts'
import type { PushOp } from '../chaos/history.ts'
import { ODD_DATA } from '../chaos/plan.ts'
import {
  armTrigger,
  fillUp,
  holding,
  signalSession,
  socketOf,
  urlThrough,
} from '../chaos/postgres-faults.ts'
import { Scenario } from '../chaos/scenario.ts'
import { eventually } from '../support/eventually.ts'
import { OwnPostgres } from '../support/own-postgres.ts'
import { ServerProcess } from '../support/server-process.ts'
import { type Step, TcpProxy } from '../support/tcp-proxy.ts'

const WITHIN_MS = 30_000
/** After the return of PostgreSQL; the aim is 2 s, and machines may be busy. */
const RESUME_MS_MAX = 5000
const CONNECTIONS_MAX = 60

let postgres: OwnPostgres
let schemas = 0

beforeAll(async () => {
  postgres = await OwnPostgres.open({ settings: { max_connections: String(CONNECTIONS_MAX) } })
})
afterAll(() => postgres.destroy())

interface Fixture {
  readonly scenario: Scenario
  readonly proxy: TcpProxy
  readonly schema: string
}

async function fixture(): Promise<Fixture> {
  const schema = `f${++schemas}`
  const proxy = await new TcpProxy(() => socketOf(postgres)).start()
  onTestFinished(() => proxy.stop())
  const settings = { DATABASE_URL: urlThrough(proxy, postgres), DATABASE_SCHEMA: schema }
  const scenario = await Scenario.open({ settings })
  return { scenario, proxy, schema }
}

function expectNone({ violations }: Verdict): void {
  expect(violations).toEqual([])
}

/** Pushes on connections of their own, all at once. */
async function pushMany(scenario: Scenario, count: number, name: string): Promise<PushOp[]> {
  const all = Array.from({ length: count }, (_, n) => scenario.pushAs(`${name}-${n}`))
  return Promise.all(all)
}

/** It takes jobs again, and has every job that it took before. */
async function expectWell({ scenario }: Fixture): Promise<void> {
  const fromMs = performance.now()
  for (let n = 0; (await scenario.push(`after-${n}`)).outcome !== 'ok'; n++) await pause(10)
  expect(performance.now() - fromMs).toBeLessThan(RESUME_MS_MAX)
  await scenario.finish()
  expectNone(await scenario.verdict({ drained: true }))
}

describe('PostgreSQL', () => {
  for (const mode of ['fast', 'immediate'] as const) {
    it(`F30 restarted (${mode}) under load: nothing is lost, and work goes on`, async () => {
      const run = await fixture()
      const pushing = pushMany(run.scenario, 20, 'during')
      await postgres.restart(mode)
      await pushing
      await expectWell(run)
    })
  }

  it('F40 killed with all its processes, as a PANIC does: nothing is lost', async () => {
    const run = await fixture()
    const before = await pushMany(run.scenario, 20, 'before')
    expect(before.every(({ outcome }) => outcome === 'ok')).toBe(true)
    const pushing = pushMany(run.scenario, 20, 'during')
    await postgres.kill()
    await postgres.start()
    await pushing
    await expectWell(run)
  })

  it('F37 that only reads: nothing is acknowledged; when it writes again, work goes on', async () => {
    const run = await fixture()
    const { scenario, schema } = run
    expect((await scenario.push('before')).outcome).toBe('ok')
    await setting('default_transaction_read_only', 'on')
    await endSessions()
    const refused = await scenario.push('during')
    expect(refused.outcome).not.toBe('ok')
    await setting('default_transaction_read_only', null)
    await expectWell(run)
    expect(schema).toBeDefined()
    // Tried again, but not without a pause: a minute of it would not fill a disk.
    expect(scenario.server.process.log.length).toBeLessThan(1000)
  })

  it('F39 slow to commit: what comes meanwhile shares the next commit', async () => {
    const { scenario, proxy, schema } = await fixture()
    expect((await scenario.push('first')).outcome).toBe('ok')
    const before = await batches(schema)
    proxy.delayMs = 200
    const pushed = await pushMany(scenario, 40, 'many')
    proxy.delayMs = 0
    expect(pushed.every(({ outcome }) => outcome === 'ok')).toBe(true)
    expect((await batches(schema)) - before).toBeLessThan(20)
    await scenario.finish()
    expectNone(await scenario.verdict({ drained: true }))
  })
})

describe('a commit that nobody confirmed', () => {
  it('F31 is found again: no job is lost, and none is doubled', async () => {
    const run = await fixture()
    const { scenario } = run
    expect((await scenario.push('before')).outcome).toBe('ok')
    await setting('synchronous_standby_names', 'ghost')
    const pushing = scenario.pushAs('ambiguous')
    await waitingForStandby()
    // The row is there, and its session ends with an error.
    await postgres.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`,
    )
    await setting('synchronous_standby_names', null)
    await pushing
    await expectWell(run)
  })

  it('F33 is not acknowledged when only the wait for the standby was cancelled', async () => {
    const run = await fixture()
    const { scenario } = run
    expect((await scenario.push('before')).outcome).toBe('ok')
    await setting('synchronous_standby_names', 'ghost')
    const pushing = scenario.pushAs('unreplicated')
    await waitingForStandby()
    await postgres.query(
      `select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`,
    )
    // It is tried again, rather than believed.
    await waitingForStandby()
    expect(scenario.outcomeOf('unreplicated')).not.toBe('ok')
    await setting('synchronous_standby_names', null)
    await pushing
    await expectWell(run)
  })
})

describe('the connection to PostgreSQL', () => {
  const steps: Step[] = ['Parse', 'Bind', 'Execute', 'Sync', 'CommandComplete', 'committed']
  for (const step of steps) {
    it(`F32 cut at ${step}: the push is acknowledged in the end, and is one job`, async () => {
      const run = await fixture()
      const { scenario, proxy } = run
      expect((await scenario.push('before')).outcome).toBe('ok')
      const struck = proxy.cutAt(step, /^flashq/)
      // Statements are parsed once in each session: there must be new ones.
      if (step === 'Parse') await endSessions()
      let isStruck = false
      void struck.then(() => {
        isStruck = true
      })
      for (let n = 0; !isStruck && n < 200; n++) {
        expect((await scenario.pushAs(`push-${n}`)).outcome).toBe('ok')
      }
      await struck
      await expectWell(run)
    })
  }

  it('F45 lost by the listener: it listens again', async () => {
    const run = await fixture()
    const listening = `select pid from pg_stat_activity where application_name like 'flashq%' and query ~* 'listen'`
    let first: { pid: number }[] = []
    await eventually('it listens', WITHIN_MS, async () => {
      first = await postgres.query<{ pid: number }>(listening)
      return first.length > 0
    })
    const pids = first.map(({ pid }) => pid)
    await postgres.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [pids])
    await eventually('it listens again', WITHIN_MS, async () => {
      const now = await postgres.query<{ pid: number }>(listening)
      return now.length > 0 && now.every(({ pid }) => !pids.includes(pid))
    })
    await expectWell(run)
  })
})

describe('PostgreSQL refuses', () => {
  for (const [title, code] of [
    ['F38 because the disk is full', '53100'],
    ['F42 because of a deadlock', '40P01'],
    ['F42 because it can not serialize', '40001'],
    ['F42 because a lock is not free', '55P03'],
    ['F43 because the statement took too long', '57014'],
  ] as const) {
    it(`${title} (${code}): what was acknowledged is there, once`, async () => {
      const run = await fixture()
      const { scenario, schema } = run
      await armTrigger({ postgres, schema })
      onTestFinished(() => void postgres.query('drop schema chaos cascade'))
      await postgres.query('insert into chaos.armed values ($1, 0.5)', [code])
      await pushMany(scenario, 20, 'half')
      await postgres.query('truncate chaos.armed')
      await postgres.query('insert into chaos.armed values ($1, 1)', [code])
      const refused = scenario.pushAs('never')
      await eventually('it was tried', WITHIN_MS, async () => (await raised()) > 0)
      await postgres.query('truncate chaos.armed')
      await refused
      await expectWell(run)
    })
  }

  it('F43 to go on: sessions ended at random, every 100 ms', async () => {
    const run = await fixture()
    const { scenario } = run
    let over = false
    const ending = (async () => {
      while (!over) {
        await signalSession(postgres, 'pg_terminate_backend')
        await pause(100)
      }
    })()
    for (let n = 0; n < 60; n++) await scenario.pushAs(`push-${n}`)
    over = true
    await ending
    await expectWell(run)
  })

  it('F44 any more connections: the node keeps its lease, and serves', async () => {
    const run = await fixture()
    const { scenario, schema } = run
    const { taken } = await fillUp(postgres)
    onTestFinished(() => void Promise.all(taken.map((client) => client.end())))
    const [first] = taken
    const expiry = async (): Promise<number> => {
      const { rows } = (await first?.query(
        `select extract(epoch from max(expires_at)) as at from ${schema}.node`,
      )) ?? { rows: [] }
      return Number(rows[0]?.at)
    }
    for (let renewals = 0; renewals < 2; renewals++) {
      const before = await expiry()
      await eventually('the lease is renewed', WITHIN_MS, async () => (await expiry()) > before)
      expect((await scenario.push(`push-${renewals}`)).outcome).toBe('ok')
    }
    await Promise.all(taken.map((client) => client.end()))
    await expectWell(run)
  })

  it('F41 nothing that the server took: data that its types do not hold comes back as it was', async () => {
    const run = await fixture()
    const { scenario } = run
    for (const [n, odd] of ODD_DATA.entries()) {
      const push = await scenario.push(`odd-${n}`, { data: dataOf(`odd-${n}`, odd) })
      expect(push).toMatchObject({ outcome: 'ok' })
    }
    await scenario.server.kill()
    await scenario.server.start()
    await expectWell(run)
  })
})

describe('a table that is locked for seconds', () => {
  it('F48 by VACUUM FULL and ALTER TABLE: the node keeps its lease, and work goes on', async () => {
    const run = await fixture()
    const { scenario, schema } = run
    expect((await scenario.push('before')).outcome).toBe('ok')
    await postgres.query(`vacuum full ${schema}.shard`)
    const locked = holding(postgres, `alter table ${schema}.journal set (fillfactor = 100)`, 3000)
    await Promise.all([locked.catch(() => undefined), pushMany(scenario, 10, 'first')])
    const table = `lock table ${schema}.journal in access exclusive mode`
    await Promise.all([holding(postgres, table, 5000), pushMany(scenario, 10, 'second')])
    await expectWell(run)
    expect(scenario.server.lives).toHaveLength(1)
  })
})

describe('a schema that is not as it should be', () => {
  it('F49 newer, by a change that breaks: the server does not start, and says why', async () => {
    const { scenario, schema } = await fixture()
    await scenario.server.terminate()
    await postgres.query(
      `insert into ${schema}.migration (version, name, breaking) values (999, 'of tomorrow', true)`,
    )
    await expectRefusal(schema, 'newer')
  })

  it('F49 with a table that is missing: the server does not start, and says why', async () => {
    const { scenario, schema } = await fixture()
    await scenario.server.terminate()
    await postgres.query(`drop table ${schema}.journal cascade`)
    await expectRefusal(schema, 'has no table journal and 64 more')
  })
})

function startOn(schema: string): ServerProcess {
  const server = new ServerProcess({ DATABASE_URL: postgres.url, DATABASE_SCHEMA: schema })
  onTestFinished(async () => void (await server.stop()))
  return server
}

async function expectRefusal(schema: string, why: string): Promise<void> {
  const server = startOn(schema)
  const { code } = await server.exited
  expect(code).not.toBe(0)
  expect(JSON.stringify(server.log)).toContain(why)
}

async function endSessions(): Promise<void> {
  await postgres.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'flashq%'`,
  )
}

async function setting(name: string, value: string | null): Promise<void> {
  await postgres.query(
    value === null ? `alter system reset ${name}` : `alter system set ${name} = '${value}'`,
  )
  await postgres.query('select pg_reload_conf()')
}

async function waitingForStandby(): Promise<void> {
  await eventually('a commit waits for the standby', WITHIN_MS, async () => {
    const rows = await postgres.query(
      `select 1 from pg_stat_activity where wait_event = 'SyncRep' and application_name like 'flashq%'`,
    )
    return rows.length > 0
  })
}

async function batches(schema: string): Promise<number> {
  const [row] = await postgres.query<{ count: string }>(`select count(*) from ${schema}.journal`)
  return Number(row?.count)
}

/** How often the trigger has raised something; a sequence is not rolled back. */
async function raised(): Promise<number> {
  const [row] = await postgres.query<{ count: string }>(
    'select last_value - 1 as count from chaos.raised',
  )
  return Number(row?.count)
}
