// What is done to PostgreSQL, and to the way between it and the server. Each fault strikes, and undoes itself.
//
// The journal gets a trigger that raises whatever is armed in a table of ours: so errors come from PostgreSQL itself,
// in the statement where they hurt.

import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import type { OwnPostgres } from '../support/own-postgres.ts'
import type { Step, TcpProxy } from '../support/tcp-proxy.ts'
import type { Fault } from './faults.ts'

const STEPS: readonly Step[] = ['Parse', 'Bind', 'Execute', 'Sync', 'CommandComplete', 'committed']
/** Sessions of the server, by the names that it gives them. */
const OURS = /^flashq/
const STEP_MS_MAX = 1000
/** Serialization, deadlock, lock not available, statement cancelled, disk full, out of memory, admin shutdown. */
const ERRORS = ['40001', '40P01', '55P03', '57014', '53100', '53200', '57P01']

export interface PostgresTarget {
  readonly postgres: OwnPostgres
  readonly schema: string
}

/** Makes the trigger; the schema is there already. */
export async function armTrigger({ postgres, schema }: PostgresTarget): Promise<void> {
  await postgres.query(`
    create schema if not exists chaos;
    create table if not exists chaos.armed (code text not null, chance double precision not null);
    create sequence if not exists chaos.raised;
    create or replace function chaos.raise_armed() returns trigger language plpgsql as $$
    declare found_code text;
    begin
      select code into found_code from chaos.armed where random() < chance limit 1;
      if found_code is not null then
        perform nextval('chaos.raised');
        raise exception 'armed' using errcode = found_code;
      end if;
      return new;
    end $$;
    create trigger chaos before insert on ${schema}.journal
      for each row execute function chaos.raise_armed()`)
}

export function postgresFaults(target: PostgresTarget): Fault[] {
  return [...processes(target), ...sessions(target), ...errors(target)]
}

function processes({ postgres }: PostgresTarget): Fault[] {
  return [
    {
      name: 'PostgreSQL restarted',
      weight: 2,
      strike: async (random) => {
        const mode = random.pick(['fast', 'immediate'] as const)
        await postgres.restart(mode)
        return mode
      },
    },
    {
      name: 'PostgreSQL killed, and started',
      weight: 1,
      strike: async (random) => {
        await postgres.kill()
        await pause(random.below(500))
        await postgres.start()
        return 'all'
      },
    },
    {
      name: 'PostgreSQL frozen for a while',
      weight: 2,
      strike: async (random) => {
        postgres.pause()
        await pause(random.between(50, 1500))
        postgres.resume()
        return 'all'
      },
    },
  ]
}

function sessions(target: PostgresTarget): Fault[] {
  const { postgres, schema } = target
  return [
    {
      name: 'sessions terminated',
      weight: 8,
      strike: async (random) => {
        for (let i = random.between(1, 4); i > 0; i--) {
          await signalSession(postgres, 'pg_terminate_backend')
          await pause(100)
        }
        return 'some'
      },
    },
    {
      name: 'statements cancelled',
      weight: 4,
      strike: async (random) => {
        for (let i = random.between(1, 10); i > 0; i--) {
          await signalSession(postgres, 'pg_cancel_backend')
        }
        return 'some'
      },
    },
    {
      name: 'shard rows locked',
      weight: 3,
      strike: async (random) => {
        const shards = Array.from({ length: random.between(1, 32) }, () => random.below(32))
        const lock = `select 1 from ${schema}.shard where shard in (${shards}) for update`
        await holding(postgres, lock, random.between(50, 1000))
        return `${shards.length} shards`
      },
    },
    {
      name: 'tables locked',
      weight: 2,
      strike: async (random) => {
        const table = random.pick(['journal', 'shard', 'node', 'checkpoint'])
        const lock = `lock table ${schema}.${table} in access exclusive mode`
        await holding(postgres, lock, random.between(50, 1000))
        return table
      },
    },
    {
      name: 'connections used up',
      weight: 1,
      strike: async (random) => {
        await withoutConnections(postgres, () => pause(random.between(100, 800)))
        return 'all'
      },
    },
  ]
}

function errors({ postgres }: PostgresTarget): Fault[] {
  return [
    {
      name: 'appends refused by PostgreSQL',
      weight: 4,
      strike: async (random) => {
        const code = random.pick(ERRORS)
        const chance = random.pick([0.1, 0.5, 1])
        await postgres.query('insert into chaos.armed values ($1, $2)', [code, chance])
        await pause(random.between(50, 600))
        await postgres.query('truncate chaos.armed')
        return code
      },
    },
  ]
}

/** Faults of the way between the server and PostgreSQL. */
export function wayFaults(proxy: TcpProxy): Fault[] {
  return [
    {
      name: 'database connection cut',
      weight: 6,
      strike: async (random) => {
        const bytes = random.chance(0.3) ? 0 : random.between(1, 3000)
        return proxy.cutAfter(random.below(1000), bytes) ? `after ${bytes} bytes` : null
      },
    },
    {
      name: 'database connection cut at a step',
      weight: 8,
      strike: async (random) => {
        const step = random.pick(STEPS)
        const struck = proxy.cutAt(step, OURS).then(() => step)
        const late = pause(STEP_MS_MAX, null)
        const result = await Promise.race([struck, late])
        proxy.disarm()
        return result
      },
    },
    {
      name: 'all database connections cut',
      weight: 2,
      strike: async () => {
        proxy.cutAll()
        return 'all'
      },
    },
    {
      name: 'database half open',
      weight: 2,
      strike: async (random) => {
        const side = random.pick(['client', 'server', 'both'] as const)
        proxy.swallow = side
        await pause(random.between(50, 1500))
        proxy.heal()
        return side
      },
    },
    {
      name: 'database slow',
      weight: 2,
      strike: async (random) => {
        proxy.delayMs = random.between(5, 200)
        await pause(random.between(100, 800))
        proxy.delayMs = 0
        return 'all'
      },
    },
    {
      name: 'database refuses connections',
      weight: 1,
      strike: async (random) => {
        proxy.refusing = true
        proxy.cutAll()
        await pause(random.between(50, 800))
        proxy.refusing = false
        return 'all'
      },
    },
  ]
}

export async function signalSession(
  postgres: OwnPostgres,
  f: 'pg_terminate_backend' | 'pg_cancel_backend',
): Promise<void> {
  await postgres.query(`
    select ${f}(pid) from pg_stat_activity
    where application_name like 'flashq%' order by random() limit 1`)
}

/** Another session holds what `lock` takes, for so long. */
export async function holding(postgres: OwnPostgres, lock: string, ms: number): Promise<void> {
  const client = await sessionOf(postgres)
  try {
    await client.query(`begin; set local lock_timeout = '2s'`)
    await client.query(lock)
    await pause(ms)
  } catch {
    // It did not get the lock in time: the server is at work there.
  } finally {
    await client.end()
  }
}

/** Opens sessions until there are none left, ends the server's, takes their places, and holds them meanwhile. */
async function withoutConnections(
  postgres: OwnPostgres,
  during: () => Promise<unknown>,
): Promise<void> {
  const { taken } = await fillUp(postgres)
  try {
    await taken[0]?.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'flashq%'`,
    )
    taken.push(...(await fillUp(postgres)).taken)
    await during()
  } finally {
    await Promise.all(taken.map((client) => client.end()))
  }
}

/** Opens sessions until PostgreSQL refuses (53300). */
export async function fillUp(postgres: OwnPostgres): Promise<{ taken: Client[] }> {
  const taken: Client[] = []
  try {
    for (;;) taken.push(await sessionOf(postgres))
  } catch {
    return { taken }
  }
}

async function sessionOf(postgres: OwnPostgres): Promise<Client> {
  const client = new Client({ connectionString: postgres.url, application_name: 'chaos' })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** The URL of PostgreSQL as the server must be told it, with the proxy in between. */
export function urlThrough(proxy: TcpProxy, postgres: OwnPostgres): string {
  const { username, pathname } = new URL(postgres.url)
  return `postgresql://${username}@127.0.0.1:${proxy.port}${pathname}`
}

/** Where the proxy finds PostgreSQL: its socket. */
export function socketOf(postgres: OwnPostgres): { path: string } {
  const { hostname, port } = new URL(postgres.url)
  return { path: `${decodeURIComponent(hostname)}/.s.PGSQL.${port}` }
}

/** For picking one fault of many kinds. */
export function named(faults: readonly Fault[], name: string): Fault {
  const found = faults.find((fault) => fault.name === name)
  if (found === undefined) throw new Error(`no such fault: ${name}`)
  return found
}
