// Who may write for a shard, and that nothing is stored twice or lost when nobody knows what became of an append:
// with sessions that hang, die and are cut at the worst moments. `docs/adr/0007-fencing.md`.

import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Appended, StorageFault } from '../../src/engine/storage-port.ts'
import { applicationName } from '../../src/storage/postgres/claiming.ts'
import { batch, type OwnBench, type OwnedShard, StorageBench } from '../support/storage-bench.ts'

let bench: OwnBench
let shards = 0

beforeAll(async () => {
  bench = await StorageBench.onOwn({ deadlock_timeout: '50ms' })
})
afterEach(() => bench.endAll())
afterAll(() => bench?.close())

/** As the journal does: until the outcome is known. */
async function untilKnown({ storage, claim }: OwnedShard, position: number): Promise<Appended> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await storage.append(claim, batch(position))
    } catch (error) {
      if (attempt === 50 || (error as StorageFault).retryable !== true) throw error
    }
  }
}

function retryable(code: string | RegExp): object {
  return {
    name: 'StorageFault',
    retryable: true,
    code: typeof code === 'string' ? code : expect.stringMatching(code),
  }
}

const schema = 'flashq'

describe('a takeover', () => {
  it('waits for an append under way, and the next append is fenced', async () => {
    const shard = shards++
    const node = await bench.node()
    const old = await bench.owned(shard, node)
    const letGo = await heldInserts(shard)
    const append = old.storage.append(old.claim, batch(1))
    await bench.waiting(old.owner, 'Lock')
    const next = await bench.worker(node)
    const claiming = next.claim([shard])
    await bench.waiting(next.owner, 'Lock')
    await letGo()
    expect(await append).toBe('durable')
    const [claim] = await claiming
    expect(claim?.epoch).toBe(old.claim.epoch + 1)
    expect(await untilKnown(old, 2)).toBe('fenced')
    expect(await old.storage.reserve(old.claim, 77)).toBe('fenced')
    expect(await bench.positions(shard)).toEqual([1])
  })

  it('that an append had to wait for fences it', async () => {
    const shard = shards++
    const node = await bench.node()
    const old = await bench.owned(shard, node)
    const stranger = await bench.stranger()
    await stranger.query(
      `begin; update ${schema}.shard set owner = '${randomUUID()}', epoch = epoch + 1 where shard = ${shard}`,
    )
    const append = old.storage.append(old.claim, batch(1))
    await bench.waiting(old.owner, 'Lock')
    await stranger.query('commit')
    expect(await append).toBe('fenced')
    expect(await bench.positions(shard)).toEqual([])
  })

  it('ends an owner that hangs in a transaction with the row locked', async () => {
    const shard = shards++
    const node = await bench.node()
    const hung = await bench.owned(shard, node)
    // As if the process were stopped in the middle: nothing would end this session by itself.
    const zombie = await bench.stranger()
    await zombie.query(`set application_name = '${applicationName(hung.owner)}'`)
    await zombie.query(`begin; select from ${schema}.shard where shard = ${shard} for update`)
    const next = await bench.owned(shard, node)
    expect(next.claim.epoch).toBe(hung.claim.epoch + 1)
    await expect(zombie.query('commit')).rejects.toThrow()
    // The rest of it lives on, and is told.
    expect(await untilKnown(hung, 1)).toBe('fenced')
    expect(await bench.positions(shard)).toEqual([])
  })

  it('ends what a dead owner has left behind', async () => {
    const shard = shards++
    const node = await bench.node()
    const dead = await bench.owned(shard, node)
    const left = await bench.stranger()
    await left.query(`set application_name = '${applicationName(dead.owner)}'`)
    await bench.owned(shard, node)
    await expect(left.query('select 1')).rejects.toThrow()
  })

  it('leaves alone whom it may not take from', async () => {
    const shard = shards++
    const other = await bench.owned(shard, await bench.node())
    const session = await bench.stranger()
    await session.query(`set application_name = '${applicationName(other.owner)}'`)
    await session.query(`begin; select from ${schema}.shard where shard = ${shard} for update`)
    const next = await bench.worker(await bench.node())
    expect(await next.claim([shard])).toEqual([])
    await session.query('commit')
    expect(await other.storage.append(other.claim, batch(1))).toBe('durable')
  })

  it('by two at once has one winner for each shard', async () => {
    const some = [shards++, shards++, shards++, shards++]
    const gone = await bench.node()
    const old = await bench.worker(gone)
    await old.claim(some)
    await bench.sql(`delete from ${schema}.node where node = $1`, [gone])
    const takers = await Promise.all([1, 2, 3].map(async () => bench.worker(await bench.node())))
    const taken = await Promise.all(takers.map((taker) => taker.claim(some)))
    expect(
      taken
        .flat()
        .map((claim) => claim.shard)
        .sort(),
    ).toEqual(some)
    for (const { epoch } of taken.flat()) expect(epoch).toBe(2)
  })

  it('from a node whose lease is over goes by the clock of PostgreSQL', async () => {
    const shard = shards++
    const node = await bench.node('100 milliseconds')
    const old = await bench.owned(shard, node)
    const next = await bench.worker(await bench.node())
    // Nobody here looks at a clock: it is free when PostgreSQL says so.
    await bench.sql(`select pg_sleep(extract(epoch from expires_at - clock_timestamp()))
      from ${schema}.node where node = '${node}'`)
    // Not taken yet, so it still may.
    expect(await old.storage.append(old.claim, batch(1))).toBe('durable')
    const [claim] = await next.claim([shard])
    expect(claim?.epoch).toBe(old.claim.epoch + 1)
    expect(await untilKnown(old, 2)).toBe('fenced')
  })

  it('at an epoch that was given out before, by a server that is lost now, does not match', async () => {
    const shard = shards++
    const node = await bench.node()
    const before = await bench.owned(shard, node)
    // What a standby would have that had not received the claim, when it is promoted and somebody else claims.
    await bench.sql(`update ${schema}.shard set owner = null, epoch = epoch - 1 where shard = $1`, [
      shard,
    ])
    const after = await bench.owned(shard, await bench.node())
    expect(after.claim.epoch).toBe(before.claim.epoch)
    expect(await before.storage.append(before.claim, batch(1))).toBe('fenced')
    expect(await after.storage.append(after.claim, batch(1))).toBe('durable')
  })
})

describe('an append whose outcome nobody knows', () => {
  it('is stored once when its session is ended before the commit', async () => {
    const shard = shards++
    const owned = await bench.owned(shard, await bench.node())
    const letGo = await heldInserts(shard)
    const append = faultOf(owned.storage.append(owned.claim, batch(1)))
    await bench.waiting(owned.owner, 'Lock')
    expect(await bench.signal(owned.owner, 'pg_terminate_backend')).toBe(1)
    expect(await append).toMatchObject(retryable(/57P01|connection_lost/))
    await letGo()
    expect(await untilKnown(owned, 1)).toBe('durable')
    expect(await untilKnown(owned, 2)).toBe('durable')
    expect(await bench.positions(shard)).toEqual([1, 2])
  })

  it('is stored once when the answer to the commit is cut off', async () => {
    const shard = shards++
    const { proxy, url } = await bench.proxy()
    const owned = await bench.owned(shard, await bench.node(), { url })
    expect(await untilKnown(owned, 1)).toBe('durable')
    for (const position of [2, 3]) {
      const cut = proxy.cutAt('committed')
      await expect(owned.storage.append(owned.claim, batch(position))).rejects.toMatchObject(
        retryable(/^(?:connection_lost|ECONNRESET|EPIPE)$/),
      )
      await cut
      expect(await bench.positions(shard)).toContain(position)
      expect(await untilKnown(owned, position)).toBe('durable')
    }
    expect(await bench.positions(shard)).toEqual([1, 2, 3])
  })

  it('is stored once when it is repeated while the first attempt is still committing', async () => {
    const shard = shards++
    const owned = await bench.owned(shard, await bench.node())
    await withGhostStandby(async () => {
      const first = owned.storage.append(owned.claim, batch(1))
      await bench.waiting(owned.owner, 'SyncRep')
      const second = owned.storage.append(owned.claim, batch(1))
      await bench.waiting(owned.owner, 'Lock')
      await ghostStandby('')
      expect(await first).toBe('durable')
      expect(await second).toBe('durable')
    })
    expect(await bench.positions(shard)).toEqual([1])
  })

  it('is not durable when its wait for the synchronous standby is ended, nor when it is cancelled', async () => {
    const shard = shards++
    const owned = await bench.owned(shard, await bench.node())
    await withGhostStandby(async () => {
      for (const how of ['pg_terminate_backend', 'pg_cancel_backend'] as const) {
        const append = faultOf(owned.storage.append(owned.claim, batch(1)))
        await bench.waiting(owned.owner, 'SyncRep')
        expect(await bench.signal(owned.owner, how)).toBe(1)
        expect(await append).toMatchObject(retryable(/^(?:01000|57P01|connection_lost)$/))
        // It is there all the same: on this server.
        expect(await bench.positions(shard)).toEqual([1])
      }
      const append = untilKnown(owned, 1)
      await bench.waiting(owned.owner, 'SyncRep')
      await ghostStandby('')
      expect(await append).toBe('durable')
    })
    expect(await bench.positions(shard)).toEqual([1])
  })

  it('is stored once over a crash of PostgreSQL', async () => {
    const shard = shards++
    const owned = await bench.owned(shard, await bench.node())
    expect(await untilKnown(owned, 1)).toBe('durable')
    await bench.postgres.kill()
    await expect(owned.storage.append(owned.claim, batch(2))).rejects.toMatchObject(retryable(/./))
    await bench.postgres.start()
    expect(await untilKnown(owned, 2)).toBe('durable')
    expect(await bench.positions(shard)).toEqual([1, 2])
  })

  it('is given up in time when PostgreSQL does not answer, and stored once when it does again', async () => {
    const shard = shards++
    const { proxy, url } = await bench.proxy()
    const owned = await bench.owned(shard, await bench.node(), { url })
    proxy.swallow = 'server'
    await expect(owned.storage.append(owned.claim, batch(1))).rejects.toMatchObject(
      retryable('timeout'),
    )
    proxy.heal()
    expect(await untilKnown(owned, 1)).toBe('durable')
    expect(await bench.positions(shard)).toEqual([1])
  })
})

describe('a statement that PostgreSQL gives up', () => {
  for (const code of ['40001', '40P01', '55P03', '57014', '53100']) {
    it(`with ${code} is worth another try`, async () => {
      const shard = shards++
      const owned = await bench.owned(shard, await bench.node())
      expect(await untilKnown(owned, 1)).toBe('durable')
      await failingInserts(shard, code, async () => {
        await expect(owned.storage.append(owned.claim, batch(2))).rejects.toMatchObject(
          retryable(code),
        )
      })
      expect(await owned.storage.append(owned.claim, batch(2))).toBe('durable')
      expect(await bench.positions(shard)).toEqual([1, 2])
    })
  }

  it('for a reason that stays is not', async () => {
    const shard = shards++
    const owned = await bench.owned(shard, await bench.node())
    await failingInserts(shard, '22003', async () => {
      await expect(owned.storage.append(owned.claim, batch(1))).rejects.toMatchObject({
        name: 'StorageFault',
        code: '22003',
        retryable: false,
      })
    })
  })

  it('because two shards were locked the wrong way round, does not happen to claims', async () => {
    const some = [shards++, shards++, shards++]
    const node = await bench.node()
    const takers = await Promise.all([1, 2, 3, 4].map(() => bench.worker(node)))
    const orders = [some, [...some].reverse(), some, [...some].reverse()]
    const claims = await Promise.allSettled(takers.map((taker, i) => taker.claim(orders[i] ?? [])))
    // Each took all from the one before and ended its sessions, perhaps before it had heard of its own claim.
    for (const claim of claims) {
      if (claim.status === 'rejected') {
        expect(claim.reason).toMatchObject({ code: '57P01', retryable: true })
      } else {
        expect(claim.value).toHaveLength(some.length)
        expect(new Set(claim.value.map(({ epoch }) => epoch)).size).toBe(1)
      }
    }
    const last = await bench.sql<{ epoch: string }>(
      `select epoch from ${schema}.shard where shard = any($1)`,
      [some],
    )
    expect(last.map(({ epoch }) => Number(epoch))).toEqual(some.map(() => takers.length))
  })
})

describe('a database with its own ideas', () => {
  it('of serializable transactions fences all the same', async () => {
    await bench.sql(`alter database postgres set default_transaction_isolation = 'serializable'`)
    try {
      const shard = shards++
      const node = await bench.node()
      const old = await bench.owned(shard, node)
      expect(await untilKnown(old, 1)).toBe('durable')
      const stranger = await bench.stranger()
      await stranger.query('begin isolation level read committed')
      await stranger.query(
        `update ${schema}.shard set owner = '${randomUUID()}', epoch = epoch + 1 where shard = ${shard}`,
      )
      const append = old.storage.append(old.claim, batch(2))
      await bench.waiting(old.owner, 'Lock')
      await stranger.query('commit')
      expect(await append).toBe('fenced')
      expect(await bench.positions(shard)).toEqual([1])
    } finally {
      await bench.sql('alter database postgres reset default_transaction_isolation')
    }
  })

  it('of asynchronous commits is overruled, except when it asks for more', async () => {
    const shown = async (wanted: 'on' | 'off', set: string): Promise<string | undefined> => {
      await bench.sql(`alter database postgres set synchronous_commit = ${set}`)
      const connection = bench.connection({ synchronousCommit: wanted })
      const { rows } = await connection.query<{ synchronous_commit: string }>({
        name: '',
        text: 'show synchronous_commit',
      })
      return rows[0]?.synchronous_commit
    }
    try {
      expect(await shown('on', 'off')).toBe('on')
      expect(await shown('on', 'local')).toBe('on')
      expect(await shown('on', 'remote_apply')).toBe('remote_apply')
      expect(await shown('off', 'on')).toBe('off')
    } finally {
      await bench.sql('alter database postgres reset synchronous_commit')
    }
  })

  it('that has lost what it had confirmed is noticed before anything is added', async () => {
    const shard = shards++
    const owned = await bench.owned(shard, await bench.node())
    for (const position of [1, 2, 3]) await untilKnown(owned, position)
    await bench.sql(`delete from ${schema}.journal where slot = $1 and position = 3`, [shard * 2])
    await expect(owned.storage.append(owned.claim, batch(4, 1))).rejects.toMatchObject({
      code: 'lost',
      retryable: false,
    })
    expect(await bench.positions(shard)).toEqual([1, 2])
  })
})

describe('a side of the journal', () => {
  it('is not emptied while somebody reads it, and appends hardly wait', async () => {
    const shard = shards++
    const owned = await bench.owned(shard, await bench.node())
    await untilKnown(owned, 1)
    await bench.sql(`update ${schema}.shard set covered = 1 where shard = $1`, [shard])
    const reader = await bench.stranger()
    await reader.query(`begin; select from ${schema}.journal_${shard * 2}`)
    const emptying = owned.storage.emptySide(owned.claim, 0)
    expect(await owned.storage.append(owned.claim, batch(2, 1))).toBe('durable')
    expect(await emptying).toBe(false)
    await reader.query('commit')
    expect(await owned.storage.emptySide(owned.claim, 0)).toBe(true)
    expect(await bench.positions(shard)).toEqual([2])
  })
})

/** An append to it gets as far as the row, holds the lock of the shard, and waits until the function is called. */
async function heldInserts(shard: number): Promise<() => Promise<void>> {
  const table = `${schema}.journal_${shard * 2}`
  await bench.sql(`create function ${schema}.wait() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock(${shard}); return new; end $$;
    create trigger wait before insert on ${table} for each row execute function ${schema}.wait()`)
  const holder = await bench.stranger()
  await holder.query(`select pg_advisory_lock(${shard})`)
  return async () => {
    await holder.query(`select pg_advisory_unlock(${shard})`)
    await bench.sql(`drop function ${schema}.wait cascade`)
  }
}

/** What a call fails with; nobody waits for it in the meantime. */
function faultOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (value) => ({ notAFault: value }),
    (fault: unknown) => fault,
  )
}

async function withGhostStandby(run: () => Promise<void>): Promise<void> {
  await ghostStandby('ghost')
  try {
    await run()
  } finally {
    await ghostStandby('')
  }
}

/** Commits wait for it for ever. */
async function ghostStandby(name: string): Promise<void> {
  const admin = await bench.stranger()
  // Of this session: nobody would confirm it.
  await admin.query('set synchronous_commit = local')
  await admin.query(`alter system set synchronous_standby_names = '${name}'`)
  await admin.query('select pg_reload_conf()')
  await expect
    .poll(async () => (await bench.sql('show synchronous_standby_names'))[0])
    .toEqual({ synchronous_standby_names: name })
}

async function failingInserts(
  shard: number,
  code: string,
  run: () => Promise<void>,
): Promise<void> {
  const table = `${schema}.journal_${shard * 2}`
  await bench.sql(`create function ${schema}.fail() returns trigger language plpgsql as
    $$ begin raise exception 'made to fail' using errcode = '${code}'; end $$;
    create trigger fail before insert on ${table} execute function ${schema}.fail()`)
  try {
    await run()
  } finally {
    await bench.sql(`drop function ${schema}.fail cascade`)
  }
}
