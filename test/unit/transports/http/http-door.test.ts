// The door over a gate without shards: peers that are slow, that go away, that do not read; and its end.
// (Catalogue 60. Times are short here, and those of `limits` in a server.)

import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { HttpTimes } from '../../../../src/transports/http/http-door.ts'
import { HttpClient, RawHttp, readRaw } from '../../../support/http-client.ts'
import { listeningHttp } from '../../../support/listening-http.ts'

const SHORT: HttpTimes = { headersMs: 150, requestMs: 300, checkEveryMs: 20, writeMs: 100 }
const POLL = 'GET /queues/q/jobs?timeout=60000 HTTP/1.1\r\nHost: localhost\r\n\r\n'

describe('a peer that is slow', () => {
  it('with its headers is cut off, and told', async () => {
    const { port } = await listeningHttp(SHORT)
    const text = await new RawHttp(port).send('GET /stats HTTP/1.1\r\nHost: local').closed()
    expect(readRaw(text)).toMatchObject({
      status: 408,
      json: { ok: false, error: 'The request took too long to arrive', code: 'request_timeout' },
    })
  })

  it('with its body is cut off, and told', async () => {
    const { port, gate } = await listeningHttp(SHORT)
    const text = await new RawHttp(port)
      .send(
        'POST /queues/q/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"data',
      )
      .closed()
    expect(readRaw(text)).toMatchObject({ status: 408, json: { code: 'request_timeout' } })
    expect(gate.ops).toEqual([])
  })

  it('to read a long answer is cut off, and the jobs in it return', async () => {
    const { port, gate } = await listeningHttp(SHORT)
    const peer = new RawHttp(port)
    peer.socket.pause()
    peer.send(POLL.replace('?', '?count=100&'))
    await gate.until(() => gate.waiting.length === 1)
    // More than both sides of a connection hold.
    gate.serve(Array.from({ length: 20 }, () => `"${'x'.repeat(1_000_000)}"`))
    await gate.until(() => gate.givenBack.length === 1)
    expect(gate.givenBack[0]?.seqs).toHaveLength(20)
  })
})

describe('a peer that goes away', () => {
  it('while its pull waits ends the wait', async () => {
    const { port, gate } = await listeningHttp()
    const peer = new RawHttp(port).send(POLL)
    await gate.until(() => gate.waiting.length === 1)
    peer.socket.destroy()
    await gate.until(() => gate.closed.length === 1)
    expect(gate.closed[0]).toBe(gate.waiting[0]?.session)
    // What is on its way to it returns.
    gate.serve(['1'])
    await gate.until(() => gate.givenBack.length === 1)
  })

  it('while pulls wait behind one another ends all of them', async () => {
    const { port, gate } = await listeningHttp()
    const peer = new RawHttp(port).send(POLL.repeat(3))
    await gate.until(() => gate.waiting.length === 3)
    // The second has jobs, which wait for the answer to the first.
    gate.serve(['1', '2'], 1)
    await nextTurn()
    expect(gate.givenBack).toEqual([])
    peer.socket.destroy()
    await gate.until(() => gate.closed.length === 2 && gate.givenBack.length === 1)
    expect(gate.givenBack[0]?.seqs).toHaveLength(2)
  })

  it('after it has its jobs gives none back', async () => {
    const { port, gate } = await listeningHttp()
    const peer = new RawHttp(port).send(POLL)
    await gate.until(() => gate.waiting.length === 1)
    gate.serve(['1'])
    expect(await peer.answer('"ok":true')).toContain('"data":1')
    peer.socket.destroy()
    const other = new HttpClient(port)
    expect((await other.get('/stats')).status).toBe(200)
    expect(gate.givenBack).toEqual([])
  })
})

describe('a door that drains', () => {
  it('ends waiting pulls with nothing, and says that the connection closes', async () => {
    const { port, gate, door } = await listeningHttp()
    const peer = new RawHttp(port).send(POLL)
    await gate.until(() => gate.waiting.length === 1)
    const drained = door.drain(10_000)
    const answer = readRaw(await peer.closed())
    expect(answer).toMatchObject({ status: 200, json: { ok: true, data: [] } })
    expect(answer.head).toContain('connection: close')
    await drained
    expect(gate.closed).toHaveLength(1)
  })

  it('answers what is in flight, and what comes on its connection meanwhile', async () => {
    const { port, gate, door } = await listeningHttp()
    gate.held.add('GETSTATE')
    const peer = new RawHttp(port).send('GET /jobs/1/state HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await gate.until(() => gate.waiting.length === 1)
    const drained = door.drain(10_000)
    gate.waiting[0]?.reply.state(1, 'active')
    const answer = readRaw(await peer.closed())
    expect(answer).toMatchObject({ status: 200, json: { data: { id: 1, state: 'active' } } })
    expect(answer.head).toContain('connection: close')
    await drained
  })

  it('closes connections that ask for nothing, used before or not', async () => {
    const { port, door } = await listeningHttp()
    const fresh = new RawHttp(port)
    const used = new RawHttp(port).send('GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await used.answer('"ok":true')
    await Promise.all([door.drain(10_000), fresh.closed(), used.closed()])
  })

  it('cuts off what takes too long', async () => {
    const { port, gate, door } = await listeningHttp()
    gate.held.add('GETSTATE')
    const peer = new RawHttp(port).send('GET /jobs/1/state HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await gate.until(() => gate.waiting.length === 1)
    await door.drain(20)
    expect(await peer.closed()).toBe('')
  })
})
