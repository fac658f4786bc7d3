// The ceiling for a HTTP API on fastify: its POST routes, as anybody would write them, with canned answers.
//
// Fastify reads the body as JSON, which is what it does by itself; nothing is looked at. Arguments: PORT BATCH DATA_BYTES.

import fastify from 'fastify'
import { cannedReplies } from './replies.ts'

const [port = 0, batch, dataBytes] = process.argv.slice(2).map(Number)
const canned = cannedReplies(batch ?? 1000, dataBytes ?? 72)
const { job } = JSON.parse(canned.pull.toString()) as { job: object }
const pushed = JSON.stringify({ ok: true, data: job })
const { ids } = JSON.parse(canned.pushBatch.toString()) as { ids: number[] }
const pushedBatch = JSON.stringify({ ok: true, data: { ids } })
const json = 'application/json; charset=utf-8'

const app = fastify({ bodyLimit: 16 * 2 ** 20, keepAliveTimeout: 72_000 })
app.post('/queues/:queue/jobs', (_request, reply) =>
  reply.header('content-type', json).send(pushed),
)
app.post('/queues/:queue/jobs/batch', (_request, reply) =>
  reply.header('content-type', json).send(pushedBatch),
)
await app.listen({ port, host: '127.0.0.1' })
process.on('SIGTERM', () => process.exit(0))
