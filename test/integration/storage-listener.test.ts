// Notifications over everything that ends them: they come again by themselves. `docs/adr/0008-own-listener.md`.

import { chownSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { channelOf, Listener, type ListenerTiming } from '../../src/storage/postgres/listener.ts'
import { CapturedLog } from '../support/captured-log.ts'
import { eventually } from '../support/eventually.ts'
import { type OwnBench, StorageBench } from '../support/storage-bench.ts'

const timing: ListenerTiming = {
  heartbeatMs: 50,
  answerTimeoutMs: 500,
  backOffMsMin: 10,
  backOffMsMax: 100,
}
const WITHIN_MS = 20_000

let bench: OwnBench

beforeAll(async () => {
  bench = await StorageBench.onOwn({ fsync: 'off' })
})
afterEach(() => bench.endAll())
afterAll(() => bench?.close())

class Heard {
  readonly log = new CapturedLog()
  readonly payloads: string[] = []
  caughtUp = 0

  constructor(url: string, channel: string, applicationName = 'flashq:listener') {
    const listener = new Listener({
      settings: bench.settings({ url, applicationName, connectTimeoutMs: 500 }),
      channel,
      log: this.log,
      timing,
      notified: (payload) => void this.payloads.push(payload),
      caughtUp: () => void this.caughtUp++,
    })
    bench.until(() => listener.stop())
    listener.start()
  }

  began(times: number): Promise<void> {
    return eventually(`it listens, ${times}`, WITHIN_MS, () => this.caughtUp >= times)
  }

  async hears(channel: string, payload: string): Promise<void> {
    await bench.sql('select pg_notify($1, $2)', [channel, payload])
    await eventually(`"${payload}" is heard`, WITHIN_MS, () => this.payloads.includes(payload))
  }
}

describe('a channel', () => {
  it('is named for its schema, short enough for PostgreSQL', () => {
    expect(channelOf('flashq')).toMatch(/^flashq_[0-9a-f]{24}$/)
    expect(channelOf('flashq')).not.toBe(channelOf('flashq2'))
    expect(channelOf('x'.repeat(63))).toHaveLength(31)
  })
})

describe('a listener', () => {
  it('hears what is sent on its channel, and says first that it begins', async () => {
    const heard = new Heard(bench.database.url, 'Mine')
    await heard.began(1)
    await bench.sql(`select pg_notify('Other', 'x')`)
    await heard.hears('Mine', 'a')
    expect(heard.payloads).toEqual(['a'])
    expect(heard.log.lines).toEqual([])
  })

  it('hears again after its session was ended, each time, and says that it missed something', async () => {
    const heard = new Heard(bench.database.url, 'c')
    for (let round = 1; round <= 3; round++) {
      await heard.began(round)
      await heard.hears('c', `${round}`)
      await bench.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'flashq:listener'`,
      )
    }
    await heard.began(4)
    await heard.hears('c', 'last')
    expect(heard.log.texts('warn')).toHaveLength(3)
    expect(heard.log.texts('info')).toHaveLength(3)
  })

  it('notices a connection that is dead without a word', async () => {
    const { proxy, url } = await bench.proxy()
    const heard = new Heard(url, 'c')
    await heard.began(1)
    proxy.swallow = 'both'
    await eventually('it is noticed', WITHIN_MS, () => heard.log.texts('warn').length === 1)
    proxy.heal()
    await heard.began(2)
    await heard.hears('c', 'a')
  })

  it('outlasts any outage, with one line in the log', async () => {
    const { proxy, url } = await bench.proxy()
    let refusals = 0
    const heard = new Heard(url, 'c')
    await heard.began(1)
    proxy.refusing = true
    proxy.cutAll()
    await eventually('it has tried often', WITHIN_MS, () => ++refusals > 100)
    expect(heard.log.texts('warn')).toHaveLength(1)
    proxy.refusing = false
    await heard.began(2)
    await heard.hears('c', 'a')
    expect(heard.log.lines.map(({ level }) => level)).toEqual(['warn', 'info'])
  })

  it('begins when PostgreSQL comes', async () => {
    const { proxy, url } = await bench.proxy()
    proxy.refusing = true
    const heard = new Heard(url, 'c')
    await eventually('it has tried', WITHIN_MS, () => heard.log.texts('warn').length === 1)
    proxy.refusing = false
    await heard.began(1)
    await heard.hears('c', 'a')
  })

  it('notices that the session it asks is not the one that listens', async () => {
    // A pooler would give LISTEN to one session and the next statement to another.
    let isShared = true
    const pooler = createServer((client) => {
      const upstream = connect(bench.target)
      client.on('data', (piece) => {
        const text = piece.toString('latin1')
        upstream.write(isShared ? text.replace('listen "c"', 'values (1)') : text, 'latin1')
      })
      upstream.on('data', (piece) => client.write(piece))
      client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
      upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
    })
    await new Promise<void>((resolve) => pooler.listen(0, '127.0.0.1', resolve))
    bench.until(async () => void pooler.close())
    const heard = new Heard(bench.urlAt((pooler.address() as AddressInfo).port), 'c')
    await eventually('it is noticed', WITHIN_MS, () => heard.log.texts('warn').length === 1)
    expect(heard.log.texts('warn')[0]).toContain('does not listen')
    expect(heard.caughtUp).toBe(0)
    isShared = false
    await heard.began(1)
    await heard.hears('c', 'a')
  })

  it('hears again when the standby that it was sent to is promoted', async () => {
    const heard = new Heard(bench.database.url, 'c')
    await heard.began(1)
    const [row] = await bench.sql<{ data_directory: string }>('show data_directory')
    const folder = row?.data_directory ?? ''
    await bench.postgres.stop()
    writeFileSync(`${folder}/standby.signal`, '')
    const { uid, gid } = statSync(folder)
    chownSync(`${folder}/standby.signal`, uid, gid)
    // It is started for good when it is a primary.
    const started = bench.postgres.start()
    await eventually('there is a standby', WITHIN_MS, async () => {
      const rows = await bench
        .sql<{ standby: boolean }>('select pg_is_in_recovery() as standby')
        .catch(() => [])
      return rows[0]?.standby === true
    })
    await expect(bench.connection().connect()).rejects.toMatchObject({
      code: '25006',
      retryable: true,
    })
    expect(heard.caughtUp).toBe(1)
    await bench.sql('select pg_promote()')
    await started
    await heard.began(2)
    await heard.hears('c', 'a')
    expect(heard.log.lines.map(({ level }) => level)).toEqual(['warn', 'info'])
  })
})
