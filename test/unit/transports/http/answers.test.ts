// Answers that leave at the end of the turn: on one connection they keep their order, whoever is quick; nothing that
// waits there is lost. (What `http-door.test.ts` has of slow and vanished peers is not said again.)

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { HttpClient, RawHttp } from '../../../support/http-client.ts'
import { readResponses } from '../../../support/http-responses.ts'
import { listeningHttp } from '../../../support/listening-http.ts'

const HOST = 'Host: localhost\r\n'
const POLL = `GET /queues/q/jobs?timeout=60000 HTTP/1.1\r\n${HOST}\r\n`
const STATS = `GET /stats HTTP/1.1\r\n${HOST}\r\n`
const LAST = `GET /stats HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`
const GARBAGE = 'no request at all\r\n\r\n'
/** Far above what still leaves at the end of the turn. */
const LONG = 'x'.repeat(100_000)

/** The server's side of each connection that is opened from now on. */
function acceptedSockets(): Socket[] {
  const sockets: Socket[] = []
  const note = (message: unknown): void => void sockets.push((message as { socket: Socket }).socket)
  subscribe('net.server.socket', note)
  onTestFinished(() => void unsubscribe('net.server.socket', note))
  return sockets
}

function permutations(list: readonly number[]): number[][] {
  if (list.length < 2) return [[...list]]
  return list.flatMap((first) =>
    permutations(list.filter((each) => each !== first)).map((rest) => [first, ...rest]),
  )
}

/** The job's data of each answer, null where it is none to a pull. */
function dataIn(text: string): (string | null)[] {
  return readResponses(text).map(({ body }) => {
    const { data } = JSON.parse(body) as { data: { data: string }[] }
    return Array.isArray(data) ? (data[0]?.data ?? '') : null
  })
}

describe('requests behind one another', () => {
  it('have their answers in their order, short and long, in whatever order they were served', async () => {
    const { port, gate } = await listeningHttp()
    const data = ['short-0', `${LONG}-1`, 'short-2', `${LONG}-3`]
    for (const order of permutations([0, 1, 2, 3])) {
      const peer = new RawHttp(port).send(POLL.repeat(4) + LAST)
      await gate.until(() => gate.waiting.length === 4)
      const left = [0, 1, 2, 3]
      for (const n of order) {
        const index = left.indexOf(n)
        left.splice(index, 1)
        gate.serve([JSON.stringify(data[n])], index)
      }
      expect(dataIn(await peer.closed()), order.join()).toEqual([...data, null])
    }
    expect(gate.givenBack).toEqual([])
  })

  it('have them too when the quick ones are answered turns before the one in front', async () => {
    const { port, gate } = await listeningHttp()
    const peer = new RawHttp(port).send(POLL + STATS + POLL + LAST)
    await gate.until(() => gate.waiting.length === 2)
    gate.serve([JSON.stringify(LONG)], 1)
    // Answered on a connection of its own: turns have passed.
    await new HttpClient(port).get('/stats')
    gate.serve(['"first"'])
    expect(dataIn(await peer.closed())).toEqual(['first', null, LONG, null])
  })
})

describe('100 Continue', () => {
  const expecting = (path: string): string =>
    `POST ${path} HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`
  const statusesIn = (text: string): number[] => readResponses(text).map(({ status }) => status)

  it('comes in its turn, behind the answers before it', async () => {
    const { port, gate } = await listeningHttp()
    const peer = new RawHttp(port).send(POLL + expecting('/jobs/1/ack'))
    await gate.until(() => gate.waiting.length === 1)
    await new HttpClient(port).get('/stats')
    gate.serve(['"first"'])
    const text = await peer.answer('HTTP/1.1 100 Continue')
    expect(text).toMatch(/"data":"first".*\]\}HTTP\/1.1 100 Continue/s)
    peer.send(`{}${LAST}`)
    expect(statusesIn(await peer.closed())).toEqual([200, 404, 200])
  })

  it('does not come into the answer to a request that is refused', async () => {
    const { port, gate } = await listeningHttp()
    const peer = new RawHttp(port).send(`${POLL + expecting('/nothing')}{}${LAST}`)
    await gate.until(() => gate.waiting.length === 1)
    gate.serve(['"first"'])
    expect(statusesIn(await peer.closed())).toEqual([200, 404, 200])
  })
})

describe('an answer that waits for the end of the turn', () => {
  it('gives its jobs back, once, when its connection goes before', async () => {
    const accepted = acceptedSockets()
    const { port, gate } = await listeningHttp()
    const peer = new RawHttp(port).send(POLL)
    await gate.until(() => gate.waiting.length === 1)
    gate.serve(['1', '2'])
    for (const socket of accepted) socket.destroy()
    expect(await peer.closed()).toBe('')
    await gate.until(() => gate.givenBack.length > 0)
    await new HttpClient(port).get('/stats')
    expect(gate.givenBack.map(({ seqs }) => seqs.length)).toEqual([2])
  })

  it('reaches its client when the door drains, and says that it is the last', async () => {
    const { port, gate, door } = await listeningHttp()
    const peer = new RawHttp(port).send(POLL)
    await gate.until(() => gate.waiting.length === 1)
    gate.serve(['"kept"'])
    const drained = door.drain(10_000)
    const text = await peer.closed()
    expect(dataIn(text)).toEqual(['kept'])
    expect(text.toLowerCase()).toContain('connection: close')
    await drained
    expect(gate.givenBack).toEqual([])
  })
})

describe('what is no request, behind requests', () => {
  const statusesIn = (text: string): number[] => readResponses(text).map(({ status }) => status)

  it('is refused behind their answers, which they all get', async () => {
    const { port, gate } = await listeningHttp()
    expect(statusesIn(await new RawHttp(port).send(STATS + GARBAGE).closed())).toEqual([200, 400])
    const peer = new RawHttp(port).send(POLL + STATS + POLL + GARBAGE)
    await gate.until(() => gate.waiting.length === 2)
    // More of it changes nothing.
    peer.send(GARBAGE)
    await new HttpClient(port).get('/stats')
    gate.serve([JSON.stringify(LONG)], 1)
    gate.serve(['"first"'])
    const text = await peer.closed()
    expect(statusesIn(text)).toEqual([200, 200, 200, 400])
    expect(dataIn(text).slice(0, 3)).toEqual(['first', null, LONG])
    expect(gate.givenBack).toEqual([])
  })

  it('is refused in place of the answer to the request that it breaks off', async () => {
    const { port, gate } = await listeningHttp()
    const chunked = `POST /queues/q/jobs HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`
    const peer = new RawHttp(port).send(`${STATS}${chunked}5\r\n{"dat\r\nzz\r\n`)
    expect(statusesIn(await peer.closed())).toEqual([200, 400])
    expect(gate.ops).toEqual(['STATS'])
  })

  it('CONNECT is, too', async () => {
    const { port } = await listeningHttp()
    const connect = `CONNECT localhost:80 HTTP/1.1\r\n${HOST}\r\n`
    expect(statusesIn(await new RawHttp(port).send(STATS + connect).closed())).toEqual([200, 405])
  })
})
