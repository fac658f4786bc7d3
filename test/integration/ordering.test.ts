// Lines in, lines out: every line has its answer, in the order of the lines, whatever the lines are and however they
// arrive; and what clients together can see of the order of two connections.

import { describe, expect, it } from 'vitest'
import { queueOnWorker } from '../support/queue-names.ts'
import { SharedServer } from '../support/shared-server.ts'
import { idOf, type WireClient, within } from '../support/wire-client.ts'

const server = new SharedServer()
const NOT_ACTIVE = { ok: false, code: 'job_not_found' }

describe('a line', () => {
  it('may end in CRLF, or in several returns', async () => {
    const client = await server.client()
    client.send('{"cmd":"GETSTATE","id":1}\r\n{"cmd":"GETSTATE","id":2}\r\r\r\n')
    expect((await client.answers(2)).map(idOf)).toEqual([1, 2])
  })

  it('that is empty has its answer too', async () => {
    const client = await server.client()
    client.send('\n{"cmd":"GETSTATE","id":1}\n\r\n{"cmd":"GETSTATE","id":2}\n')
    const [first, second, third, fourth] = await client.answers(4)
    for (const answer of [first, third]) {
      expect(answer).toMatchObject({ ok: false, code: 'invalid' })
      expect(answer?.error).toMatch(/^Invalid: /)
    }
    expect([second, fourth].map((answer) => answer?.id)).toEqual([1, 2])
  })

  it('without newline at the end of input is executed and answered, then the connection ends', async () => {
    const client = await server.client()
    client.lines.socket.end(
      '{"cmd":"GETSTATE","id":1}\n{"cmd":"PUSH","queue":"last-line","data":1}',
    )
    expect(await client.answer()).toMatchObject({ ok: true, id: 1 })
    expect(await client.answer()).toMatchObject({ ok: true, id: expect.any(Number) })
    expect(await client.lines.rests()).toEqual([])
    expect(await (await server.client()).pullNow('last-line')).not.toBeNull()
  })

  it('may have `cmd` anywhere, and keys that nobody knows', async () => {
    const client = await server.client()
    client.send('{"x":[{"cmd":"PULL"}],"id":7,"y":null,"cmd":"GETSTATE","":{}}\n')
    expect(await client.line()).toBe('{"ok":true,"id":7,"state":"unknown"}')
  })

  it('may come byte by byte', async () => {
    const client = await server.client()
    for (const char of '{"cmd":"GETSTATE","id":12345}\n') client.lines.socket.write(char)
    expect(await client.answer()).toMatchObject({ ok: true, id: 12345 })
  })
})

describe('pipelining', () => {
  it('50,000 commands, all written before anything is read, are answered in their order', async () => {
    const client = await server.client()
    const { socket } = client.lines
    const count = 50_000
    const queues = [0, 1].map((worker) => queueOnWorker(worker, 'pipelined'))
    const frames = Array.from({ length: count }, (_, n) =>
      n % 2 === 0
        ? `{"cmd":"PUSH","queue":"${queues[(n >> 1) % 2]}","data":{"n":${n}},"priority":0}\n`
        : `{"cmd":"GETSTATE","id":${n}}\n`,
    )
    socket.pause()
    const written = new Promise((resolve) => {
      socket.write(frames.join(''), resolve)
    })
    await within(60_000, 'the server reads while nobody reads from it', written)
    socket.resume()
    const answers = await client.answers(count)
    const states = answers.filter((_, n) => n % 2 === 1)
    expect(states.every(({ id }, place) => id === 2 * place + 1)).toBe(true)
    const pushed = answers.filter((_, n) => n % 2 === 0)
    expect(pushed.every(({ ok, id, state }) => ok && id !== undefined && !state)).toBe(true)
    for (const parity of [0, 1]) {
      const ids = pushed.filter((_, place) => place % 2 === parity).map(idOf)
      expect(ids.every((id, place) => place === 0 || id > (ids[place - 1] ?? 0))).toBe(true)
    }
  })

  it('a pull that waits holds back the answers behind it, not what they do', async () => {
    for (const [client, other] of await bothOrders()) {
      for (const worker of [0, 1]) {
        const queue = queueOnWorker(worker, 'held-back')
        const held = await client.push('held-back-other', 1)
        await client.pull('held-back-other')
        client.send(
          { cmd: 'PULL', queue },
          { cmd: 'ACK', id: held, result: 'done' },
          { cmd: 'PUSH', queue: 'held-back-other', data: 2 },
          { cmd: 'GETRESULT', id: held },
          { cmd: 'ACK', id: held },
        )
        const seen = await other.pull('held-back-other')
        expect(seen.data).toBe(2)
        await other.ok({ cmd: 'ACK', id: seen.id })
        expect(await other.stateOf(held)).toBe('completed')
        const id = await other.push(queue, 3)
        const [pulled, acked, pushed, result, again] = await client.answers(5)
        expect(pulled).toMatchObject({ ok: true, job: { id, data: 3 } })
        expect(acked).toEqual({ ok: true })
        expect(pushed).toEqual({ ok: true, id: seen.id })
        expect(result).toEqual({ ok: true, id: held, result: 'done' })
        expect(again).toMatchObject(NOT_ACTIVE)
        await client.ok({ cmd: 'ACK', id })
      }
    }
  })

  it('a pull gets what a push behind it on its own connection has brought', async () => {
    const client = await server.client()
    client.send({ cmd: 'PULL', queue: 'own-push' }, { cmd: 'PUSH', queue: 'own-push', data: 1 })
    const [pulled, pushed] = await client.answers(2)
    expect(pulled?.job?.id).toBe(pushed?.id)
  })

  it('several pulls that wait are served in their order, and those behind them too', async () => {
    const client = await server.client()
    const other = await server.client()
    client.send(
      { cmd: 'PULL', queue: 'waits-a' },
      { cmd: 'PULL', queue: 'waits-b' },
      { cmd: 'PULLB', queue: 'waits-a', count: 10 },
    )
    const b = await other.push('waits-b', 'b')
    const a1 = await other.push('waits-a', 'a1')
    const a2 = await other.push('waits-a', 'a2')
    const [first, second, third] = await client.answers(3)
    expect([first?.job?.id, second?.job?.id, third?.jobs?.[0]?.id]).toEqual([a1, b, a2])
  })

  it('with a reqId answers overtake the pull that waits, and name what they answer', async () => {
    const client = await server.client()
    client.send(
      { cmd: 'PULL', queue: 'overtaken', reqId: 'p' },
      '{"reqId":"\\u0061 \\"b","cmd":"GETSTATE","id":1}\n',
      { cmd: 'PUSH', queue: 'overtaken', data: 1, reqId: -7 },
    )
    const lines = await client.linesOf(3)
    expect(lines).toContain('{"ok":true,"reqId":"\\u0061 \\"b","id":1,"state":"unknown"}')
    expect(lines.some((line) => line.startsWith('{"ok":true,"reqId":-7,"id":'))).toBe(true)
    expect(lines.at(-1)).toMatch(/^\{"ok":true,"reqId":"p","job":\{"id":/)
  })
})

describe('a concurrency limit', () => {
  it('is never exceeded as clients see it: an ack is answered before its slot is handed on', async () => {
    const limit = 5
    const rounds = 20
    for (let round = 0; round < rounds; round++) {
      const queue = queueOnWorker(round % 2, 'five-at-most', round)
      const producer = await server.client()
      await producer.ok({ cmd: 'SETCONCURRENCY', queue, limit })
      const clients = await server.clients(10)
      const seen = { active: 0, most: 0, done: 0 }
      const consuming = clients.map((client) => consume(client, queue, 5, seen))
      for (let n = 0; n < 50; n++) await producer.push(queue, n)
      await Promise.all(consuming)
      expect(seen).toMatchObject({ active: 0, done: 50 })
      expect(seen.most, `round ${round}`).toBeLessThanOrEqual(limit)
      for (const client of clients) client.destroy()
    }
  })
})

interface Seen {
  active: number
  most: number
  done: number
}

/** A job is active from the arrival of its line to the arrival of the ack's answer. */
async function consume(client: WireClient, queue: string, count: number, seen: Seen) {
  for (let n = 0; n < count; n++) {
    const job = await client.pull(queue)
    seen.active++
    seen.most = Math.max(seen.most, seen.active)
    // Other consumers get their turn while this one works.
    await client.ok({ cmd: 'PROGRESS', id: job.id, progress: 50 })
    await client.ok({ cmd: 'ACK', id: job.id })
    seen.active--
    seen.done++
  }
}

/** The connections of the two workers, each in each part. */
async function bothOrders(): Promise<[WireClient, WireClient][]> {
  const [a, b] = await server.clientPerWorker()
  if (a === undefined || b === undefined) throw new Error('two workers are needed')
  return [
    [a, b],
    [b, a],
  ]
}
