// A connection goes over to the worker that owns what it uses, and its client notices nothing.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { queueOnWorker } from '../support/queue-names.ts'
import { SharedServer } from '../support/shared-server.ts'
import { idOf, WireClient } from '../support/wire-client.ts'

const folder = mkdtempSync(join(tmpdir(), 'flashq-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, 'q.sock')
const server = new SharedServer({ UNIX_SOCKET: path, AUTH_TOKENS: 'secret' })

const AUTH = { cmd: 'AUTH', token: 'secret' }
/** Enough to make a connection move. */
const MANY = 100

async function authed(client: WireClient): Promise<WireClient> {
  await client.ok(AUTH)
  return client
}

const opening = {
  TCP: async () => authed(await server.client()),
  'a Unix socket': async () => authed(await WireClient.open({ path })),
}

async function workerOf(client: WireClient): Promise<unknown> {
  return (await client.ok({ cmd: 'METRICS' })).metrics?.['worker']
}

describe('a connection that uses only what one worker owns', () => {
  for (const [kind, open] of Object.entries(opening)) {
    it(`over ${kind} is soon served by that worker, still authenticated`, async () => {
      for (const worker of [0, 1, 0, 1]) {
        const queue = queueOnWorker(worker, 'moved')
        await eventually(`a connection is at worker ${worker}`, 20_000, async () => {
          const client = await open()
          for (let n = 0; n < MANY; n++) {
            await client.push(queue, n)
            await client.ok({ cmd: 'ACK', id: (await client.pull(queue)).id })
          }
          const at = await workerOf(client)
          client.destroy()
          return at === worker
        })
      }
    })
  }

  it('gives its jobs back when it closes afterwards, if it pulled them with release_on_close', async () => {
    const other = await opening.TCP()
    for (const end of ['end', 'resetAndDestroy'] as const) {
      for (const worker of [0, 1]) {
        for (let n = 0; n < 4; n++) {
          const queue = queueOnWorker(worker, 'moved-with-jobs')
          const ids = [await other.push(queue, 1), await other.push(queue, 2)]
          const consumer = await opening.TCP()
          await consumer.ok({ cmd: 'PULLB', queue, count: 2, release_on_close: true })
          for (let k = 0; k < MANY; k++)
            expect(await consumer.stateOf(ids[k % 2] ?? 0)).toBe('active')
          consumer.lines.socket[end]()
          for (const id of ids) {
            expect(await other.pull(queue)).toMatchObject({ id, attempts: 0 })
            await other.ok({ cmd: 'ACK', id })
          }
        }
      }
    }
  })
})

describe('while connections move', () => {
  it('every frame is answered once and in order, however its bytes are cut', async () => {
    const cuts = cutter(4711)
    const lives = Array.from({ length: 40 }, async (_, place) => {
      const queue = queueOnWorker(place % 2, 'cut', place)
      const client = await opening.TCP()
      const { socket } = client.lines
      let sent = 0
      while (sent < 300) {
        const count = 1 + cuts(6)
        const frames = Array.from({ length: count }, (_, n) =>
          JSON.stringify({ cmd: 'PUSH', queue, data: sent + n }),
        )
        const bytes = Buffer.from(`${frames.join('\n')}\n`)
        const at = cuts(bytes.length)
        socket.write(bytes.subarray(0, at))
        // What is cut off comes on its own: after an answer, if there is one before it.
        const early = frames.join('\n').slice(0, at).split('\n').length - 1
        const answers = await client.answers(early)
        socket.write(bytes.subarray(at))
        answers.push(...(await client.answers(count - early)))
        expect(answers.every(({ ok }) => ok)).toBe(true)
        sent += count
      }
      const order: unknown[] = []
      while (order.length < sent) {
        const { jobs = [] } = await client.ok({ cmd: 'PULLB', queue, count: 7 })
        order.push(...jobs.map(({ data }) => data))
        expect((await client.ok({ cmd: 'ACKB', ids: jobs.map(({ id }) => id) })).ids).toEqual([
          jobs.length,
        ])
      }
      expect(order).toEqual(Array.from({ length: sent }, (_, n) => n))
    })
    await Promise.all(lives)
    expect(server.process.log.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('commands that are piped behind those that make it move are answered too', async () => {
    for (let n = 0; n < 30; n++) {
      const queue = queueOnWorker(n % 2, 'piped')
      const client = await opening.TCP()
      for (let k = 0; k < 31 + (n % 4); k++) await client.push(queue, k)
      const pushes = Array.from({ length: 50 }, (_, k) => ({ cmd: 'PUSH', queue, data: k }))
      for (const push of pushes) client.send(push)
      client.lines.socket.end('{"cmd":"GETSTATE","id":77}')
      const ids = (await client.answers(51)).map(idOf)
      expect(ids.at(-1)).toBe(77)
      expect(new Set(ids).size).toBe(51)
      expect(await client.lines.rests()).toEqual([])
      client.destroy()
    }
  })
})

/** Numbers below `max` that are the same in every run. */
function cutter(seed: number): (max: number) => number {
  let state = seed
  return (max) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * max)
  }
}
