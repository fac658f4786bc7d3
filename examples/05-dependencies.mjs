// A job that waits for others, also in other queues: node examples/05-dependencies.mjs

import { FlashQ, Worker } from 'flashq'

const { FLASHQ_HOST: host = '127.0.0.1', FLASHQ_PORT: port = '6789' } = process.env
const options = { host, port: Number(port) }
const client = new FlashQ(options)
await client.connect()

const left = await client.push('fetch', { part: 'left' })
const right = await client.push('fetch', { part: 'right' })
const merge = await client.push('merge', { of: 2 }, { depends_on: [left.id, right.id] })
console.log('merge is', await client.getState(merge.id))

const worker = new Worker(['fetch', 'merge'], (job) => `${job.queue} done`, options)
worker.on('error', (error) => console.error(error))
const merged = new Promise((resolve) => {
  worker.on('completed', (job, result) => {
    console.log(result, job.data)
    if (job.id === merge.id) resolve()
  })
})
await worker.start()
await merged
console.log('merge is', await client.getState(merge.id))

await worker.stop()
await client.close()
