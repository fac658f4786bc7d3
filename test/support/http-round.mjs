// One round of the HTTP client in whatever runtime runs this: argument 1 is the server's URL, 2 a queue, 3 a token if there is
// one. Prints JSON.

import { FlashQ, Worker } from '../../sdk/typescript/dist/http.js'

const args = globalThis.Deno === undefined ? globalThis.process.argv.slice(2) : globalThis.Deno.args
const [httpUrl, queue, token] = args
const client = new FlashQ({ httpUrl, token })
await client.connect()
const events = client.events({ queues: [queue], types: ['completed'] })
await events.opened

const ids = (
  await Promise.all(
    Array.from({ length: 50 }, (_, n) => client.push(queue, { n }, { priority: n })),
  )
).map((job) => job.id)
const first = await client.pull(queue, { wait: 5000, lease: 5000 })
await client.ack(first.id, { by: 'hand' }, { token: first.token })

let worked = 0
const worker = new Worker(queue, (job) => ({ n: job.data.n }), { httpUrl, token, concurrency: 10 })
const done = new Promise((resolve, reject) => {
  worker.on('error', reject)
  worker.on('completed', () => {
    worked += 1
    if (worked === 49) resolve()
  })
})
await worker.start()
await done
await worker.stop()

let heard = 0
for await (const event of events) {
  if (event.event === 'completed') heard += 1
  if (heard === 50) break
}
const refused = await client.cancel(first.id).catch((error) => ({ code: error.code }))
const answer = {
  first: first.data.n,
  result: await client.getResult(first.id),
  states: [...new Set(await Promise.all(ids.map((id) => client.getState(id))))],
  worked,
  heard,
  refused,
}
await client.close()
console.log(JSON.stringify(answer))
