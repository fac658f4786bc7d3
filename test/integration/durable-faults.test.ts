// The built server while its PostgreSQL is away, refuses, or is not waited for.

import { describe, expect, it } from 'vitest'
import {
  clientOf,
  databaseSettings,
  drainQueue,
  kill,
  Load,
  ownDatabase,
  startDurable,
  untilRead,
} from '../support/durable-server.ts'
import { eventually } from '../support/eventually.ts'
import { queryOnce } from '../support/own-postgres.ts'
import { queueOnWorker } from '../support/queue-names.ts'

const [A, B] = [queueOnWorker(0), queueOnWorker(1)]

describe('PostgreSQL that is away', () => {
  it('for a second is not noticed by anybody', async () => {
    const { postgres, settings } = await ownDatabase()
    const server = await startDurable(settings)
    const clients = await Promise.all([1, 2, 3, 4].map(() => clientOf(server)))
    const load = new Load(clients, [A, B])
    await eventually('the load runs', 5000, () => load.acked.length > 100)
    await postgres.stop()
    const before = load.acked.length
    await server.logged('the database does not answer')
    await postgres.start()
    const backMs = performance.now()
    await eventually('the load goes on', 5000, () => load.acked.length > before + 100)
    await load.stop()
    const first = load.ackedAtMs.find((atMs) => atMs > backMs) ?? 0
    expect(load.refused).toEqual([])
    expect(first - backMs).toBeLessThan(2000)
    const client = await clientOf(server)
    const jobs = [...(await drainQueue(client, A)), ...(await drainQueue(client, B))]
    expect(jobs.map(({ id }) => id).sort()).toEqual([...load.acked].sort())
  })

  it('for longer: what is under way is unknown, the rest is refused, and all goes on when it is back', async () => {
    const { postgres, settings } = await ownDatabase()
    const server = await startDurable({ ...settings, WORKERS: '1' })
    const [client, other, waiter] = await Promise.all([1, 2, 3].map(() => clientOf(server)))
    if (client === undefined || other === undefined || waiter === undefined) throw new Error()
    const kept = await client.push(A, 'kept')
    const held = await client.push('held', 'held')
    waiter.send({ cmd: 'PULL', queue: 'later' })
    await postgres.stop('immediate')
    client.send({ cmd: 'PUSH', queue: A, data: 'under way' })
    other.send({ cmd: 'PULL', queue: 'held' })
    await server.logged('the database does not answer')
    expect([await client.answer(), await other.answer()]).toMatchObject([
      { ok: false, code: 'outcome_unknown' },
      { ok: false, code: 'unavailable' },
    ])
    const answers = await Promise.all([
      client.ask({ cmd: 'PUSH', queue: A, data: 'refused' }),
      other.ask({ cmd: 'GETSTATE', id: kept }),
    ])
    expect(answers).toMatchObject([{ code: 'unavailable' }, { code: 'unavailable' }])
    await postgres.start()
    const backMs = performance.now()
    const late = await client.push('later', 'for the waiting pull')
    const tookMs = performance.now() - backMs
    expect(tookMs).toBeLessThan(2000)
    expect(await waiter.answer()).toMatchObject({ ok: true, job: { id: late } })
    expect(await other.pull('held')).toMatchObject({ id: held, attempts: 0 })
    await untilRead(client, kept)
    const jobs = await drainQueue(client, A)
    expect(jobs.map(({ data }) => data)).toEqual(['kept', 'under way'])
    expect(server.log.filter(({ msg }) => msg.includes('a worker died'))).toEqual([])
  })

  it('when a worker is killed: its shards are served as soon as it is back', async () => {
    const { postgres, settings } = await ownDatabase()
    const server = await startDurable({ ...settings, WORKERS: '1' })
    const id = await (await clientOf(server)).push(A, 1)
    await postgres.stop()
    process.kill(server.workerPids()[0] as number, 'SIGKILL')
    await server.logged('claiming shards failed')
    await postgres.start()
    const backMs = performance.now()
    const client = await clientOf(server)
    expect(await client.pull(A)).toMatchObject({ id })
    expect(performance.now() - backMs).toBeLessThan(2000)
  })

  it('and frozen: what is under way is unknown within a bound, and all goes on', async () => {
    const { postgres, settings } = await ownDatabase()
    const server = await startDurable(settings)
    const clients = await Promise.all(Array.from({ length: 16 }, () => clientOf(server)))
    const queues = clients.map((_, i) => queueOnWorker(i % 2, 'frozen', i))
    await Promise.all(clients.map((client, i) => client.push(queues[i] as string, 'before')))
    postgres.pause()
    const pausedMs = performance.now()
    const answers = await Promise.all(
      clients.map((client, i) => client.ask({ cmd: 'PUSH', queue: queues[i], data: 'under way' })),
    )
    const tookMs = performance.now() - pausedMs
    expect(new Set(answers.map(({ code }) => code))).toEqual(new Set(['outcome_unknown']))
    expect(tookMs).toBeLessThan(10_000)
    postgres.resume()
    const ids = await Promise.all(
      clients.map((client, i) => client.push(queues[i] as string, 'after')),
    )
    for (const [i, client] of clients.entries()) {
      await untilRead(client, ids[i] as number)
      const data = (await drainQueue(client, queues[i] as string)).map((job) => job.data)
      expect(data).toEqual(['before', 'under way', 'after'])
    }
  })
})

describe('DURABILITY=async', () => {
  it('does not wait: but nothing is lost by a SIGTERM, and what is old not by a kill -9', async () => {
    const { postgres, settings } = await ownDatabase()
    const async = { ...settings, DURABILITY: 'async', WORKERS: '1' }
    const first = await startDurable(async)
    const client = await clientOf(first)
    const old = await client.push(A, 'old')
    postgres.pause()
    // Answered, though nothing can be stored.
    const [one, two] = [await client.push(A, 1), await client.push(A, 2)]
    postgres.resume()
    expect((await first.stop()).code).toBe(0)
    const second = await startDurable(async)
    const again = await clientOf(second)
    const stored = await again.push(A, 3)
    await eventually('it is stored', 5000, async () => {
      const [row] = await postgres.query<{ n: number }>(
        `select count(*)::int as n from flashq.journal where position('3'::bytea in records) > 0`,
      )
      return (row?.n ?? 0) > 0
    })
    postgres.pause()
    const lost = await again.push(A, 'lost')
    await kill(second)
    postgres.resume()
    const third = await clientOf(await startDurable(async))
    const ids = (await drainQueue(third, A)).map(({ id }) => id)
    expect(ids.filter((id) => id !== lost)).toEqual([old, one, two, stored])
  })
})

describe('a record that PostgreSQL refuses', () => {
  it('is refused to its client, and nothing else suffers', async () => {
    const settings = await databaseSettings()
    const server = await startDurable({ ...settings, WORKERS: '1' })
    const [client, ...others] = await Promise.all([1, 2, 3, 4].map(() => clientOf(server)))
    if (client === undefined) throw new Error()
    const first = await client.push(A, 'first')
    await poison(settings, 'POISON')
    const load = new Load(others, [A])
    await eventually('the load runs', 5000, () => load.acked.length > 20)
    for (let i = 0; i < 3; i++) {
      const answer = await client.ask({ cmd: 'PUSH', queue: A, data: 'POISON' })
      expect(answer).toMatchObject({ ok: false, code: 'storage_refused' })
      const before = load.acked.length
      await eventually('the others go on', 10_000, () => load.acked.length > before + 20)
    }
    await load.stop()
    // Beside it in one append, though not in one turn: not stored, and said so.
    expect(new Set([...load.refused, 'unavailable'])).toEqual(new Set(['unavailable']))
    const jobs = await drainQueue(client, A)
    expect(jobs.map(({ id }) => id).sort()).toEqual([first, ...load.acked].sort())
    expect(server.log.filter(({ msg }) => msg.includes('a worker died'))).toEqual([])
  })
})

/** Whatever contains the text cannot be stored. */
async function poison(
  { DATABASE_URL, DATABASE_SCHEMA }: Awaited<ReturnType<typeof databaseSettings>>,
  text: string,
): Promise<void> {
  await queryOnce(
    DATABASE_URL,
    `create function ${DATABASE_SCHEMA}.refuse() returns trigger language plpgsql as $$
begin
  if position('${text}'::bytea in new.records) > 0 then
    raise exception 'poison' using errcode = '22000';
  end if;
  return new;
end $$;
create trigger refuse before insert on ${DATABASE_SCHEMA}.journal
  for each row execute function ${DATABASE_SCHEMA}.refuse();`,
  )
}
