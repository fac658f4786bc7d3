import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { holderOf } from '../../../../src/engine/holder-number.ts'
import { limits } from '../../../../src/engine/limits.ts'
import { removeStaleSocket } from '../../../../src/transports/tcp/stale-socket.ts'
import { LineClient } from '../../../support/line-client.ts'
import { listening } from '../../../support/listening.ts'

const STATS = '{"ok":true,"queued":0,"processing":0,"delayed":0,"dlq":0}'
const PULL = { cmd: 'PULL', queue: 'orders' }
const PULLB = { cmd: 'PULLB', queue: 'orders', count: 9 }

function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flashq-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, 's')
}

describe('a connection that breaks', () => {
  it('gives back the job of a pull that was served too late', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send(PULL)
    await gate.until(() => gate.waiting.length === 1)
    const { session } = gate.waiting[0] as (typeof gate.waiting)[0]
    peer.socket.resetAndDestroy()
    await gate.until(() => gate.closed.length === 1)
    expect(gate.closed).toEqual([session])
    gate.serve(['1'])
    expect(gate.givenBack).toEqual([{ shard: 5, seqs: Float64Array.of(1000), firstToken: 1 }])
  })

  it('gives back the jobs of replies that were held', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send(PULL, PULLB)
    await gate.until(() => gate.waiting.length === 2)
    gate.serve(['1', '2', '3'], 1)
    expect(gate.givenBack).toHaveLength(0)
    peer.socket.resetAndDestroy()
    await gate.until(() => gate.closed.length === 1)
    expect(gate.givenBack).toEqual([
      { shard: 5, seqs: Float64Array.of(1000, 1001, 1002), firstToken: 1 },
    ])
  })

  it('keeps what was written before', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send(PULL)
    await gate.until(() => gate.waiting.length === 1)
    gate.serve(['1'])
    await peer.line()
    peer.destroy()
    await gate.until(() => gate.closed.length === 1)
    expect(gate.givenBack).toHaveLength(0)
  })

  it('lets the jobs that went back be served at once', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send(PULL, PULLB)
    await gate.until(() => gate.waiting.length === 2)
    gate.serve(['1'], 1)
    const turns = gate.turns
    peer.socket.resetAndDestroy()
    await gate.until(() => gate.givenBack.length === 1 && gate.turns > turns)
  })
})

describe('the end of input', () => {
  it('runs and answers a last line that has no newline', async () => {
    const { client } = await listening()
    const peer = await client()
    peer.socket.end('{"cmd":"ACK","id":1}\n{"cmd":"STATS"}')
    const lines = await peer.rests()
    expect(lines[1]).toBe(STATS)
    expect(lines).toHaveLength(2)
    await peer.closed
  })

  it('runs nothing of half a line', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.socket.end('{"cmd":"STATS"')
    const [line] = await peer.rests()
    expect(line).toMatch(/"code":"invalid"\}$/)
    expect(gate.ops).toEqual(['invalid'])
  })

  it('ends waiting pulls without a job, and keeps the order', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send({ cmd: 'ACK', id: 1 }, PULL, { cmd: 'ACK', id: 2 }, PULLB, { ...PULL, reqId: 4 })
    peer.socket.end('{"cmd":"STATS"}\n')
    expect(await peer.rests()).toEqual([
      '{"ok":false,"error":"1","code":"job_not_found"}',
      '{"ok":true,"job":null}',
      '{"ok":false,"error":"2","code":"job_not_found"}',
      '{"ok":true,"jobs":[]}',
      STATS,
    ])
    expect(gate.closed).toHaveLength(1)
    await peer.closed
    gate.serve(['1'])
    gate.serve(['2', '3'])
    gate.serve(['4'])
    expect(gate.givenBack.map(({ seqs }) => seqs.length)).toEqual([1, 2, 1])
    expect(gate.closed).toHaveLength(1)
  })

  it('waits for the answers of commands that run', async () => {
    const { client, gate } = await listening()
    gate.held.add('GETJOB')
    const peer = await client()
    peer.send({ cmd: 'GETJOB', id: 1 }, { cmd: 'GETJOB', id: 2, reqId: 2 }, PULL)
    peer.socket.end()
    await gate.until(() => gate.closed.length === 1)
    const [first, second] = gate.waiting
    second?.reply.ok()
    expect(await peer.line()).toBe('{"ok":true,"reqId":2}')
    first?.reply.ok()
    expect(await peer.rests()).toEqual(['{"ok":true}', '{"ok":true,"job":null}'])
  })

  it('comes after everything that was sent before, however much', async () => {
    const { client, gate } = await listening()
    gate.held.add('GETJOB')
    gate.onTurn = () => {
      for (const { reply } of gate.waiting.splice(0)) reply.ok()
    }
    const peer = await client()
    const count = 50_000
    peer.socket.end('{"cmd":"GETJOB","id":1}\n'.repeat(count))
    expect(await peer.rests()).toHaveLength(count)
  })
})

describe('a line that is too long', () => {
  it('is refused, and the connection ends after what was owed', async () => {
    const { client, gate } = await listening({ frameBytesMax: 100 })
    const peer = await client()
    const fits = `{"cmd":"STATS","x":"${'x'.repeat(78)}"}`
    expect(fits).toHaveLength(100)
    peer.send(`${fits}\n`, PULL, `${fits} \n`, { cmd: 'STATS' })
    expect(await peer.rests()).toEqual([
      STATS,
      '{"ok":true,"job":null}',
      '{"ok":false,"error":"Frame too large (max 100 bytes)","code":"frame_too_large"}',
    ])
    expect(gate.ops).toEqual(['STATS', 'PULL'])
  })

  it('is refused before its newline comes', async () => {
    const { client } = await listening({ frameBytesMax: 1000 })
    const peer = await client()
    peer.send('x'.repeat(5000))
    expect(await peer.rests()).toEqual([
      '{"ok":false,"error":"Frame too large (max 1000 bytes)","code":"frame_too_large"}',
    ])
    peer.socket.end()
    await peer.closed
  })
})

describe('the listener', () => {
  it('serves a Unix socket and TCP alike', async () => {
    const path = socketPath()
    const endpoints = [{ path }, { host: '127.0.0.1', port: 0 }]
    const { addresses, client } = await listening({ endpoints })
    expect(addresses[0]).toBe(path)
    const peer = await client()
    peer.send({ cmd: 'STATS' })
    expect(await peer.line()).toBe(STATS)
    const tcp = await LineClient.open(addresses[1] as { port: number })
    onTestFinished(() => tcp.destroy())
    tcp.send({ cmd: 'STATS' })
    expect(await tcp.line()).toBe(STATS)
  })

  it('binds nothing when one endpoint is taken', async () => {
    const path = socketPath()
    const { addresses } = await listening()
    const { port } = addresses[0] as { port: number }
    const endpoints = [{ path }, { host: '127.0.0.1', port }]
    await expect(listening({ endpoints })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await expect(LineClient.open({ path })).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('gives each connection a holder of its own', async () => {
    const { client, gate } = await listening()
    for (const peer of [await client(), await client()]) {
      peer.send(PULL)
    }
    await gate.until(() => gate.waiting.length === 2)
    expect(gate.waiting.map(({ session }) => session.holder).sort()).toEqual([
      holderOf({ worker: 3, incarnation: 1 }, 1),
      holderOf({ worker: 3, incarnation: 1 }, 2),
    ])
  })

  it('refuses a connection too many, and takes one again when one has left', async () => {
    const { client, gate } = await listening({ connectionsMax: 1 })
    const first = await client()
    first.send({ cmd: 'STATS' })
    await first.line()
    const second = await client()
    expect(await second.object()).toMatchObject({ ok: false, code: 'limit_exceeded' })
    await second.ended
    first.destroy()
    await gate.until(() => gate.closed.length === 1)
    const third = await client()
    third.send({ cmd: 'STATS' })
    expect(await third.line()).toBe(STATS)
  })

  it('tells one that it refuses why, however soon and however much it sends', async () => {
    // A Unix socket that is closed fails what its peer writes, and what the peer has not read is lost to it.
    const { client, gate } = await listening({
      connectionsMax: 1,
      endpoints: [{ path: socketPath() }],
    })
    const first = await client()
    first.send({ cmd: 'STATS' })
    await first.line()
    const second = await client()
    const errors: Error[] = []
    second.socket.on('error', (error) => errors.push(error))
    second.socket.end('x'.repeat(1_000_000))
    expect(await second.object()).toMatchObject({ ok: false, code: 'limit_exceeded' })
    await second.closed
    expect(errors).toEqual([])
    expect(gate.ops).toEqual(['STATS'])
  })

  it('lets many that it refuses read why, and more than that as well as it can', async () => {
    const { client, listener } = await listening({ connectionsMax: 1 })
    const first = await client()
    first.send({ cmd: 'STATS' })
    await first.line()
    const refused = []
    for (let n = 0; n <= limits.turnedAwayMax; n++) refused.push(await client())
    for (const peer of refused) expect(await peer.object()).toMatchObject({ ok: false })
    await refused.at(-1)?.ended
    await listener.stop()
    await Promise.all(refused.slice(0, -1).map((peer) => peer.ended))
  })

  it('drains: idle connections end, others after their answers, waiting pulls are refused', async () => {
    const { client, gate, listener, addresses } = await listening()
    gate.held.add('GETJOB')
    const [idle, busy] = [await client(), await client()]
    idle.send({ cmd: 'STATS' })
    busy.send(PULL, { cmd: 'GETJOB', id: 1 })
    await idle.line()
    await gate.until(() => gate.waiting.length === 2)
    const drained = listener.drain(60_000)
    idle.socket.on('end', () => idle.socket.end())
    await idle.closed
    gate.waiting[1]?.reply.ok()
    expect(await busy.rests()).toEqual([
      '{"ok":false,"error":"Server is shutting down","code":"draining"}',
      '{"ok":true}',
    ])
    busy.socket.end()
    await drained
    expect(listener.size).toBe(0)
    await expect(LineClient.open(addresses[0] as { port: number })).rejects.toThrow()
  })

  it('drains no longer than it may', async () => {
    const { client, gate, listener } = await listening()
    gate.held.add('GETJOB')
    const peer = await client()
    peer.send({ cmd: 'GETJOB', id: 1 })
    await gate.until(() => gate.waiting.length === 1)
    await listener.drain(1)
    await peer.ended
  })

  it('survives an error of accepting', async () => {
    const { client, listener, logged } = await listening()
    const [server] = (listener as unknown as { servers: Server[] }).servers
    server?.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }))
    const peer = await client()
    peer.send({ cmd: 'STATS' })
    expect(await peer.line()).toBe(STATS)
    expect(logged).toContain('accept failed')
  })

  it('stops twice as well as once', async () => {
    const { client, listener } = await listening()
    const peer = await client()
    await Promise.all([listener.stop(), listener.stop()])
    await listener.stop()
    await peer.ended
  })
})

describe('the file of a Unix socket', () => {
  it('that nobody answers on is removed', async () => {
    const path = socketPath()
    await removeStaleSocket(path)
    await leaveBehind(path)
    await removeStaleSocket(path)
    const { addresses } = await listening({ endpoints: [{ path }] })
    expect(addresses).toEqual([path])
  })

  it('stays when somebody answers, or when it is no socket', async () => {
    const path = socketPath()
    await listening({ endpoints: [{ path }] })
    await expect(removeStaleSocket(path)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    const file = `${path}-file`
    writeFileSync(file, '')
    await expect(removeStaleSocket(file)).rejects.toThrow(/not a socket/)
  })
})

/** What a killed process leaves: a socket's file without a listener. */
async function leaveBehind(path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(`${path}-old`, resolve))
  renameSync(`${path}-old`, path)
  await new Promise((resolve) => server.close(resolve))
}
