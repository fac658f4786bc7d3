// The HTTP door under requests that no client sends, each on a connection of its own: whatever comes back is HTTP, a
// refusal is in its envelope, the server has no errors of its own, and good requests are served all the while.
// A failure names its seed; CHAOS_SEED=n runs it again.

import { afterEach, describe, expect, it } from 'vitest'
import { Random } from '../chaos/random.ts'
import { seedsOf } from '../chaos/seeds.ts'
import { HttpClient, RawHttp } from '../support/http-client.ts'
import { mutatedQuery, mutatedRequest } from '../support/http-mutations.ts'
import { envelopeOf, type HttpResponse, readResponses } from '../support/http-responses.ts'
import { SharedServer } from '../support/shared-server.ts'

const CASES = 300
const AT_ONCE = 25

// One worker: what it has read before it answers another connection, it has answered, too.
const server = new SharedServer({ HTTP: '1', HTTP_PORT: '0', WORKERS: '1' })

afterEach(() => {
  expect(server.process.log.filter(({ level }) => level === 'error')).toEqual([])
  expect(server.process.log.filter(({ msg }) => msg === 'worker started')).toHaveLength(1)
})

/** What a good client gets. */
async function served(http: HttpClient): Promise<void> {
  const pushed = await http.post('/queues/good/jobs', { data: 'good' })
  const id = (pushed.json.data as { id: number }).id
  const pulled = await http.get('/queues/good/jobs?timeout=0')
  expect((pulled.json.data as { id: number }[]).map((job) => job.id)).toEqual([id])
  expect((await http.post(`/jobs/${id}/ack`)).json).toEqual({ ok: true, data: null })
}

/** What the server has said to each of `texts` until the end. */
async function exchange(http: HttpClient, texts: readonly string[]): Promise<string[]> {
  const peers = texts.map((text) => new RawHttp(server.process.httpPort).send(text))
  await Promise.all(peers.map((peer) => peer.connected()))
  await served(http)
  for (const { socket } of peers) socket.end()
  return Promise.all(peers.map((peer) => peer.closed()))
}

/** The responses, each of them as it must be. */
function checked(text: string): HttpResponse[] {
  const responses = readResponses(text)
  for (const response of responses) {
    if (response.status >= 500) throw new Error(`${response.status}: ${response.body}`)
    if (response.status >= 400) envelopeOf(response)
  }
  return responses
}

/** Runs `check`, and says which case it was when it throws. */
function told<T>(seed: number, sent: string, check: () => T): T {
  try {
    return check()
  } catch (error) {
    throw new Error(`seed ${seed}, sent ${JSON.stringify(sent)}: ${String(error)}`)
  }
}

async function fuzz(
  seed: number,
  make: (random: Random) => string,
  look: (answer: string) => HttpResponse[],
): Promise<Set<number>> {
  const random = new Random(seed)
  const http = new HttpClient(server.process.httpPort)
  const statuses = new Set<number>()
  for (let from = 0; from < CASES; from += AT_ONCE) {
    const texts = Array.from({ length: AT_ONCE }, () => make(random))
    const answers = await exchange(http, texts)
    for (const [n, answer] of answers.entries()) {
      const sent = texts[n] as string
      for (const { status } of told(seed, sent, () => look(answer))) statuses.add(status)
    }
  }
  await served(http)
  return statuses
}

describe.each(seedsOf(2))('with seed %i', (seed) => {
  it('requests and bytes that are none are answered in HTTP, refused in the envelope', async () => {
    const statuses = await fuzz(seed, mutatedRequest, checked)
    // The cases are of every kind.
    for (const status of [200, 400, 404, 405, 415]) expect(statuses, `${status}`).toContain(status)
  })

  it('queries of /events are refused in the envelope, or begin a stream', async () => {
    const make = (random: Random): string =>
      `GET /events${random.pick(['', '', '/fuzz', '/%ff', '/a%20b'])}?${mutatedQuery(random)} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const statuses = await fuzz(seed, make, (answer) => {
      if (!answer.startsWith('HTTP/1.1 200 ')) return checked(answer)
      if (!answer.toLowerCase().includes('\r\ncontent-type: text/event-stream\r\n')) {
        throw new Error(`no stream: ${answer}`)
      }
      return [{ status: 200, headers: new Map(), body: '' }]
    })
    expect([...statuses].sort()).toEqual([200, 400])
  })
})

it('a pull behind requests whose connection ends before takes no job, and harms nobody', async () => {
  const http = new HttpClient(server.process.httpPort)
  const pushed = await http.post('/queues/behind/jobs', { data: 1 })
  const refused = 'GET /stats HTTP/1.1\r\nHost: elsewhere\r\n\r\n'
  const posted =
    'POST /jobs/1/ack HTTP/1.1\r\nHost: elsewhere\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
  const pull = 'GET /queues/behind/jobs?timeout=0 HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const text = await new RawHttp(server.process.httpPort).send(refused + posted + pull).closed()
  expect(checked(text).map(({ status }) => status)).toEqual([421])
  const pulled = await http.get('/queues/behind/jobs?timeout=30000')
  expect(pulled.json.data).toMatchObject([{ id: (pushed.json.data as { id: number }).id }])
})
