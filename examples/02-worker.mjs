// A worker that runs two jobs at a time: node examples/02-worker.mjs

import { FlashQ, Worker } from 'flashq'

const { FLASHQ_HOST: host = '127.0.0.1', FLASHQ_PORT: port = '6789' } = process.env
const options = { host, port: Number(port) }
const client = new FlashQ(options)
await client.connect()

const worker = new Worker('images', async (job) => ({ width: job.data.width * 2 }), {
  ...options,
  concurrency: 2,
})
worker.on('failed', (job, error) => console.log('failed', job.id, error.message))
worker.on('error', (error) => console.error(error))

const done = new Promise((resolve) => {
  let count = 0
  worker.on('completed', (job, result) => {
    console.log('completed', job.id, result)
    if (++count === 5) resolve()
  })
})

await worker.start()
for (let width = 1; width <= 5; width++) await client.push('images', { width })
await done
await worker.stop() // waits for the jobs that are running
await client.close()
