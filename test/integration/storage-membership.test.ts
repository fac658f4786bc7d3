// The primary's part in PostgreSQL: it waits for it, is known there, keeps its lease, and hears the others.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { channelOf } from '../../src/storage/postgres/listener.ts'
import { Membership, type MembershipOptions } from '../../src/storage/postgres/membership.ts'
import {
  LEASE_TIMING,
  NodeLease,
  type NodeLeaseOptions,
  systemClocks,
} from '../../src/storage/postgres/node-lease.ts'
import { ownIdentity, type ProcessIdentity } from '../../src/storage/postgres/process-identity.ts'
import { CapturedLog } from '../support/captured-log.ts'
import { eventually } from '../support/eventually.ts'
import { batch, type OwnBench, StorageBench } from '../support/storage-bench.ts'

const WITHIN_MS = 20_000
/** As in the product, only quicker. */
const quick = { ttlMs: 1500, marginMs: 250, renewMs: 100, retryMs: 50, answerTimeoutMs: 400 }
const schema = 'flashq'
let bench: OwnBench

beforeAll(async () => {
  bench = await StorageBench.onOwn({ fsync: 'off', max_connections: '20' })
})
afterEach(async () => {
  await bench.endAll()
  await bench.sql(`delete from ${schema}.node`)
})
afterAll(() => bench?.close())

class Member {
  readonly log = new CapturedLog()
  readonly node = randomUUID()
  /** L = a lease was granted, X = it was lost. */
  history = ''
  untilMs = 0
  woken = 0
  readonly membership: Membership

  constructor(changes: Partial<MembershipOptions> = {}) {
    this.membership = new Membership({
      url: bench.database.url,
      schema,
      node: this.node,
      version: '1.2.3',
      startTimeoutMs: 10_000,
      log: this.log,
      onLease: (untilMs) => {
        this.history += 'L'
        this.untilMs = untilMs
      },
      onLeaseLost: () => {
        this.history += 'X'
      },
      leaseTiming: quick,
      pollMs: 3_600_000,
      ...changes,
    })
    this.membership.onWake(() => this.woken++)
    bench.until(() => this.membership.stop())
  }

  async started(): Promise<this> {
    await this.membership.start()
    return this
  }

  /** It has happened since now. */
  async saw(pattern: RegExp): Promise<void> {
    const { length } = this.history
    await eventually(`${pattern}`, WITHIN_MS, () => pattern.test(this.history.slice(length)))
  }
}

function rows(): Promise<Record<string, unknown>[]> {
  return bench.sql(`select node, host, pid, process, version, expires_at > clock_timestamp() as live,
    expires_at < clock_timestamp() + interval '6 seconds' as soon from ${schema}.node`)
}

describe('a node', () => {
  it('is known from its start to its end', async () => {
    const member = await new Member({ leaseTiming: LEASE_TIMING }).started()
    const identity = ownIdentity()
    expect(await rows()).toEqual([
      { node: member.node, ...identity, version: '1.2.3', live: true, soon: true },
    ])
    expect(member.history).toBe('L')
    const leftMs = member.untilMs - Number(process.hrtime.bigint()) / 1e6
    expect(leftMs).toBeLessThanOrEqual(LEASE_TIMING.ttlMs - LEASE_TIMING.marginMs)
    await member.membership.stop()
    expect(await rows()).toEqual([])
  })

  it('lets nobody take its shards while it lives, and anybody when it has stopped', async () => {
    const member = await new Member().started()
    const owned = await bench.owned(3, member.node)
    const other = await bench.worker(await bench.node())
    expect(await other.claim([3])).toEqual([])
    await member.membership.stop()
    expect(await other.claim([3])).toHaveLength(1)
    expect(owned.claim.epoch).toBe(1)
  })

  it('removes those that expired long ago, and touches no others', async () => {
    const old = await bench.node('-2 minutes')
    const recent = await bench.node('-10 seconds')
    const live = await bench.node('1 hour')
    const member = await new Member().started()
    const nodes = (await rows()).map(({ node }) => node)
    expect(nodes.sort()).toEqual([recent, live, member.node].sort())
    expect(nodes).not.toContain(old)
  })
})

describe('a lease', () => {
  it('is renewed, whatever is locked besides its table', async () => {
    const member = await new Member().started()
    const stranger = await bench.stranger()
    await stranger.query(`begin; lock table ${schema}.shard, ${schema}.journal, ${schema}.job,
      ${schema}.checkpoint, ${schema}.migration in access exclusive mode`)
    await member.saw(/LLL/)
    await stranger.query('commit')
    expect(member.history).toMatch(/^L+$/)
  })

  it('that cannot be renewed is lost in time, once, and comes again', async () => {
    const member = await new Member().started()
    const stranger = await bench.stranger()
    await stranger.query(`begin; lock table ${schema}.node in access exclusive mode`)
    await member.saw(/X/)
    expect(Number(process.hrtime.bigint()) / 1e6).toBeGreaterThanOrEqual(member.untilMs)
    await stranger.query('commit')
    await member.saw(/LL/)
    expect(member.history).toMatch(/^L+XL+$/)
    expect(member.log.texts('warn')).toHaveLength(2)
  })

  it('that expired and was cleared away is there again, though what was taken stays taken', async () => {
    const member = await new Member().started()
    const owned = await bench.owned(4, member.node)
    await bench.sql(`delete from ${schema}.node where node = $1`, [member.node])
    await member.saw(/LL/)
    expect(await rows()).toHaveLength(1)
    expect(await owned.storage.append(owned.claim, batch(1))).toBe('durable')
  })

  it('is renewed while there are no sessions left for anybody else', async () => {
    const member = await new Member().started()
    const connections = Array.from({ length: 25 }, () => bench.connection())
    const outcomes = await Promise.all(
      connections.map((connection) => connection.connect().catch(() => 'refused')),
    )
    expect(outcomes).toContain('refused')
    await member.saw(/LLL/)
    expect(member.history).toMatch(/^L+$/)
  })

  it('survives the end of its session', async () => {
    const member = await new Member({ leaseTiming: { ...quick, ttlMs: 10_000 } }).started()
    await bench.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1`,
      [`flashq:${member.node}`],
    )
    await member.saw(/LL/)
    expect(member.history).toMatch(/^L+$/)
  })

  it('is lost by a machine that slept, although its clock has not moved', async () => {
    let sleptMs = 0
    let history = ''
    const options: NodeLeaseOptions = {
      settings: bench.settings(),
      node: randomUUID(),
      version: '0',
      identity: ownIdentity(),
      log: new CapturedLog(),
      timing: quick,
      listener: {
        onLease: () => {
          history += 'L'
        },
        onLeaseLost: () => {
          history += 'X'
        },
      },
      clocks: {
        hrtimeMs: systemClocks.hrtimeMs,
        uptimeMs: () => systemClocks.hrtimeMs() + sleptMs,
      },
    }
    const lease = new NodeLease(options)
    bench.until(() => lease.stop())
    await lease.start()
    sleptMs = 60_000
    await eventually('it is lost, and renewed', WITHIN_MS, () => /^L+XL+$/.test(history))
  })
})

describe('a start', () => {
  it('waits for PostgreSQL, with a line for each attempt', async () => {
    await bench.postgres.stop()
    const member = new Member()
    const starting = member.membership.start()
    await eventually('two attempts', WITHIN_MS, () => member.log.texts('warn').length >= 2)
    await bench.postgres.start()
    await starting
    expect(member.history).toBe('L')
    expect(member.log.texts('warn')[0]).toMatch(/attempt 1 in 250 ms/)
  })

  it('gives up when it takes too long', async () => {
    const { proxy, url } = await bench.proxy()
    proxy.refusing = true
    const member = new Member({ url, startTimeoutMs: 300 })
    await expect(member.membership.start()).rejects.toMatchObject({
      name: 'StorageFault',
      retryable: false,
      message: expect.stringMatching(/gave up after \d+ ms/),
    })
    expect(member.history).toBe('')
  })

  it('gives up at once when waiting would not help', async () => {
    const url = bench.database.url.replace(/\/postgres$/, '/absent')
    const member = new Member({ url, startTimeoutMs: 3_600_000 })
    await expect(member.membership.start()).rejects.toMatchObject({ code: '3D000' })
    expect(member.log.texts('warn')).toEqual([])
  })

  it('ends when it is stopped', async () => {
    const { proxy, url } = await bench.proxy()
    proxy.refusing = true
    const member = new Member({ url, startTimeoutMs: 3_600_000 })
    const starting = member.membership.start().catch((fault: unknown) => fault)
    await eventually('an attempt', WITHIN_MS, () => member.log.texts('warn').length >= 3)
    await member.membership.stop()
    expect(await starting).toMatchObject({ code: 'closed' })
  })

  it.runIf(existsSync('/proc/self/stat'))(
    'after a kill need not wait for the lease of who was killed',
    async () => {
      const dead = await deadProcess()
      const ended = await nodeOf(dead)
      const strangers = [
        await nodeOf({ ...dead, host: 'elsewhere' }),
        await nodeOf({ ...dead, process: `another-boot/${dead.process}` }),
        await nodeOf({ ...dead, process: '' }),
        await nodeOf(ownIdentity()),
      ]
      await bench.owned(5, ended)
      await bench.owned(6, strangers[0] ?? '')
      const member = await new Member().started()
      const nodes = (await rows()).map(({ node }) => node)
      expect(nodes.sort()).toEqual([...strangers, member.node].sort())
      const next = await bench.worker(member.node)
      expect((await next.claim([5, 6])).map(({ shard }) => shard)).toEqual([5])
    },
  )
})

describe('waking the others', () => {
  it('reaches them, and not oneself', async () => {
    const [one, two] = [await new Member().started(), await new Member().started()]
    await eventually('both listen', WITHIN_MS, () => one.woken === 1 && two.woken === 1)
    one.membership.wake()
    await eventually('the other is woken', WITHIN_MS, () => two.woken === 2)
    two.membership.wake()
    await eventually('the one is woken', WITHIN_MS, () => one.woken === 2)
    expect(two.woken).toBe(2)
  })

  it('many times at once is a few notifications', async () => {
    const member = await new Member().started()
    const payloads: string[] = []
    const stranger = await bench.stranger()
    stranger.on('notification', ({ payload }) => void payloads.push(payload ?? ''))
    await stranger.query(`listen "${channelOf(schema)}"`)
    for (let i = 0; i < 1000; i++) member.membership.wake()
    await eventually('the last one is sent', WITHIN_MS, () => payloads.length === 2)
    await bench.sql('select pg_notify($1, $2)', [channelOf(schema), 'end'])
    await eventually('the end', WITHIN_MS, () => payloads.at(-1) === 'end')
    expect(payloads).toEqual([member.node, member.node, 'end'])
  })

  it('happens now and then by itself, also where notifications do not arrive', async () => {
    const member = await new Member({ pollMs: 10 }).started()
    await eventually('it is woken', WITHIN_MS, () => member.woken >= 5)
  })
})

/** One of this machine that has been killed. */
async function deadProcess(): Promise<ProcessIdentity> {
  const child = spawn('sleep', ['60'])
  await once(child, 'spawn')
  const own = ownIdentity()
  const identity = { ...own, pid: child.pid ?? 0, process: own.process.replace(/\d+$/, '1') }
  child.kill('SIGKILL')
  await once(child, 'exit')
  return identity
}

async function nodeOf({ host, pid, process: id }: ProcessIdentity): Promise<string> {
  const node = await bench.node('1 hour')
  await bench.sql(`update ${schema}.node set host = $2, pid = $3, process = $4 where node = $1`, [
    node,
    host,
    pid,
    id,
  ])
  return node
}
