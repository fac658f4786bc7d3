// Many jobs in one round trip: node examples/04-batches.mjs

import { FlashQ } from 'flashq'

const { FLASHQ_HOST: host = '127.0.0.1', FLASHQ_PORT: port = '6789' } = process.env
const client = new FlashQ({ host, port: Number(port) })
await client.connect()

const jobs = Array.from({ length: 1000 }, (_, index) => ({ data: { index } }))
const ids = await client.pushBatch('numbers', jobs)
console.log('pushed', ids.length)

let acked = 0
while (acked < ids.length) {
  const pulled = await client.pullBatch('numbers', 250)
  acked += await client.ackBatch(pulled.map((job) => job.id))
  console.log('acknowledged', acked)
}
console.log(await client.stats())

await client.close()
