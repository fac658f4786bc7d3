// A connection whose commands are all for one other worker moves to that worker, while its client sends and waits.

import { describe, expect, it } from 'vitest'
import { FlashQ } from '../../sdk/typescript/src/index.ts'
import { startServer } from '../support/server-process.ts'

const CONNECTIONS = 8
const PUSHES = 400

describe('a connection that keeps using queues of one other worker', () => {
  it('moves there, and loses and doubles nothing on the way', async () => {
    const server = await startServer({ WORKERS: '2' })
    const clients = Array.from(
      { length: CONNECTIONS },
      () => new FlashQ({ host: '127.0.0.1', port: server.port, autoBatch: false }),
    )
    const ids = await Promise.all(
      clients.map(async (client) => {
        const got: number[] = []
        for (let i = 0; i < PUSHES; i++) got.push((await client.push('moving', { i })).id)
        return got
      }),
    )
    expect(new Set(ids.flat()).size).toBe(CONNECTIONS * PUSHES)
    expect((await clients[0]?.stats())?.queued).toBe(CONNECTIONS * PUSHES)

    const [queue] = (await clients[0]?.listQueues()) as unknown as { worker: number }[]
    for (const client of clients) {
      const { worker } = (await client.metrics()) as unknown as { worker: number }
      expect(worker).toBe(queue?.worker)
    }
    await Promise.all(clients.map((client) => client.close()))
  })
})
