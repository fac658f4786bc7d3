// Much of what is small: each kind of flood meets a bound, has its exact answer, and costs the others nothing. Bounds
// that are large are reached with settings or, where they are none, in the unit tests. (Catalogue 50, 55, 83, 102–106.)

import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Metadata, status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { EventClient } from '../support/event-client.ts'
import { eventually } from '../support/eventually.ts'
import { GrpcClient } from '../support/grpc-client.ts'
import { HttpClient, RawHttp } from '../support/http-client.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startServer } from '../support/server-process.ts'
import { clientOf, residentBytes, SharedServer } from '../support/shared-server.ts'

const MIB = 1024 * 1024
const DOORS = { HTTP: '1', HTTP_PORT: '0', GRPC: '1', GRPC_PORT: '0' }
const server = new SharedServer({ ...DOORS, WORKERS: '1' })
const http = (): HttpClient => new HttpClient(server.process.httpPort)
const grpc = (): GrpcClient =>
  new GrpcClient(server.process.grpcPort, new Metadata()).closeAfterTest()

it('83 subscriptions of a connection are a thousand at most, and the others go on', async () => {
  const bystander = await server.client()
  const client = await server.client()
  const frames = Array.from({ length: 10_000 }, (_, n) => ({
    ...{ cmd: 'SUBSCRIBE', queue: `s${n}`, events: ['completed'] },
  }))
  client.send(...frames)
  const answers = await client.answers(10_000)
  expect(answers.filter(({ ok }) => ok)).toHaveLength(1000)
  expect(answers[1000]).toEqual({
    ok: false,
    error: 'Limit exceeded: subscriptions of a connection (max 1000)',
    code: 'limit_exceeded',
  })
  expect(await bystander.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
  expect(await client.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
  const queues = Array.from({ length: 101 }, (_, n) => `s${n}`).join()
  const stream = await http().get(`/events?queues=${queues}`)
  expect([stream.status, stream.json.code]).toEqual([400, 'limit_exceeded'])
})

it('99 connections of HTTP beyond the most are closed, and there is room when one goes', async () => {
  const small = await startServer({ ...DOORS, WORKERS: '1', CONNECTIONS_MAX: '3' })
  const get = 'GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const served = [1, 2, 3].map(() => new RawHttp(small.httpPort))
  for (const each of served) expect(await each.send(get).answer('"ok":true')).toContain('200 OK')
  for (let n = 0; n < 100; n++) {
    expect(await new RawHttp(small.httpPort).send(get).closed()).not.toContain('"ok":true')
  }
  for (const each of served) expect(await each.send(get).answer('"ok":true', 2)).toContain('200 OK')
  served[0]?.socket.destroy()
  await eventually('there is room again', 5000, async () =>
    (
      await new RawHttp(small.httpPort)
        .send(get.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
        .closed()
    ).includes('"ok":true'),
  )
})

it('102 a result over 1 MiB is refused at every door, and the job is still running', async () => {
  const wire = await server.client()
  const result = 'x'.repeat(MIB - 1)
  const error = `Result too large (${MIB + 1} bytes, max ${MIB} bytes)`
  const id = await wire.push('results', 1)
  await wire.pull('results')
  const refused = { ok: false, error, code: 'data_too_large' }
  expect(await wire.ask({ cmd: 'ACK', id, result })).toEqual(refused)
  expect(await http().post(`/jobs/${id}/ack`, { result })).toMatchObject({
    status: 413,
    json: refused,
  })
  const request = { id, result: Buffer.from(JSON.stringify(result)) }
  expect(await grpc().failure('Ack', request)).toEqual({
    ...{ status: status.INVALID_ARGUMENT, code: 'data_too_large', details: error },
  })
  const batch = await wire.ask({ cmd: 'ACKB', ids: [id], results: [result] })
  expect(JSON.stringify(batch)).toContain('data_too_large')
  expect(await wire.stateOf(id)).toBe('active')
  await wire.ok({ cmd: 'ACK', id, result: result.slice(1) })
  expect(await wire.stateOf(id)).toBe('completed')
})

it('103 refused commands, however many, write nothing into the log; wrong tokens write two lines', async () => {
  const guarded = await startServer({ ...DOORS, AUTH_TOKENS: 'right', LOG_LEVEL: 'info' })
  const before = guarded.log.length
  const client = await clientOf(guarded)
  client.send(...Array.from({ length: 5000 }, (_, n) => `{"cmd":"NOTHING${n}"}\n`))
  await client.answers(5000)
  const web = new HttpClient(guarded.httpPort)
  for (let n = 0; n < 200; n++) await web.get(`/nothing-${n}`)
  expect(guarded.log.slice(before)).toEqual([])
  for (let n = 0; n < 200; n++) {
    await web.get('/stats', { headers: { authorization: `Bearer wrong-${n}` } })
  }
  // Of each worker.
  expect(guarded.log.slice(before).length).toBeLessThanOrEqual(4)
})

it('103 lines of a job are the last hundred, and of 4 KiB at most', async () => {
  const wire = await server.client()
  const id = await wire.push('spam', 1)
  await wire.pull('spam')
  const lines = Array.from({ length: 1000 }, (_, n) => ({ cmd: 'LOG', id, line: `${n}` }))
  wire.send(...lines)
  expect((await wire.answers(1000)).every(({ ok }) => ok)).toBe(true)
  const { json } = await http().get(`/jobs/${id}/logs`)
  const { logs, dropped } = json.data as { logs: { line: string }[]; dropped: number }
  expect(logs).toHaveLength(100)
  expect(logs.at(-1)?.line).toBe('999')
  expect(dropped).toBe(900)
  const long = await http().post(`/jobs/${id}/logs`, { line: 'x'.repeat(4097) })
  expect([long.status, long.json.code]).toEqual([400, 'limit_exceeded'])
})

it('104 ten thousand waiting pulls cost their connections’ commands, and nobody else', async () => {
  const waiters = await server.clients(10)
  const before = residentBytes(server.process)
  const frames = Array.from({ length: 1000 }, () => ({ cmd: 'PULL', queue: 'polls', wait: 60_000 }))
  for (const client of waiters) client.send(...frames)
  const bystander = await server.client()
  await bystander.ok({ cmd: 'PUSHB', queue: 'polls', jobs: [{ data: 1 }, { data: 2 }] })
  expect(await bystander.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
  expect(residentBytes(server.process) - before).toBeLessThan(64 * MIB)
  expect((await http().get('/queues/others/jobs?timeout=0')).json.data).toEqual([])
  // Whoever ends its side is answered, and gone: what is pushed then is given to nobody of them.
  for (const client of waiters) client.lines.socket.end()
  const rests = await Promise.all(waiters.map((client) => client.lines.rests()))
  expect(rests.flat()).toHaveLength(10_000)
  expect(rests.flat().filter((line) => line.includes('"job":null'))).toHaveLength(9998)
  const id = await bystander.push('polls', 3)
  expect((await bystander.pull('polls')).id).toBe(id)
})

it('105 a queue that is deleted again and again is empty each time, and the others go on', async () => {
  const wire = await server.client()
  const bystander = await server.client()
  for (let round = 0; round < 200; round++) {
    await wire.push('obliterated', round)
    const gone = await http().delete('/queues/obliterated?force=true')
    expect([gone.status, gone.json.ok], `${round}`).toEqual([200, true])
    expect(await wire.pullNow('obliterated')).toBeNull()
    expect(await bystander.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
  }
  const id = await bystander.push('obliterated', 'again')
  expect((await wire.pull('obliterated')).id).toBe(id)
})

describe('a token that is revoked', () => {
  it('50 ends long polls and streams of every door within a second', async () => {
    const path = join(scratchFolder(), 'tokens.json')
    const write = (...tokens: object[]): void => {
      writeFileSync(`${path}.new`, JSON.stringify({ tokens }), { mode: 0o600 })
      renameSync(`${path}.new`, path)
    }
    const scopes = ['read', 'produce', 'consume', 'admin']
    const kept = { name: 'kept', token: 'token-kept', scopes }
    write(kept, { name: 'gone', token: 'token-gone', scopes })
    const guarded = await startServer({ ...DOORS, AUTH_FILE: path, WORKERS: '1' })
    const headers = { authorization: 'Bearer token-gone' }
    const metadata = new Metadata()
    metadata.set('authorization', headers.authorization)
    const calls = new GrpcClient(guarded.grpcPort, metadata)
    const line = await clientOf(guarded)
    await line.ok({ cmd: 'AUTH', token: 'token-gone' })
    line.send({ cmd: 'PULL', queue: 'revoked' })
    const web = new HttpClient(guarded.httpPort, headers)
    const poll = web.get('/queues/revoked/jobs?timeout=60000')
    const call = calls.closeAfterTest().failure('Pull', { queue: 'revoked', wait_ms: 60_000 })
    const stream = await EventClient.open({ port: guarded.httpPort, headers })
    write(kept)
    expect(await line.lines.rests()).toEqual([
      '{"ok":false,"error":"Invalid token","code":"auth_invalid"}',
    ])
    await stream.ended()
    const over = { status: status.UNAUTHENTICATED, code: 'auth_invalid' }
    expect(await call).toMatchObject(over)
    // It gets nothing, and is told when it comes again.
    expect(await poll).toMatchObject({ status: 200, json: { ok: true, data: [] } })
    expect(await web.get('/stats')).toMatchObject({ status: 401, json: { code: 'auth_invalid' } })
    const friend = await clientOf(guarded)
    await friend.ok({ cmd: 'AUTH', token: 'token-kept' })
    const id = await friend.push('revoked', 1)
    expect((await friend.pull('revoked')).id).toBe(id)
  })
})
