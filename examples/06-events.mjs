// What happens in the queues, as it happens: node examples/06-events.mjs
// The same by HTTP, as in a browser: FLASHQ_HTTP_URL=http://127.0.0.1:6790 node examples/06-events.mjs

import { FlashQ, Worker } from 'flashq'

const { FLASHQ_HOST: host = '127.0.0.1', FLASHQ_PORT: port = '6789', FLASHQ_HTTP_URL } = process.env
const options =
  FLASHQ_HTTP_URL === undefined ? { host, port: Number(port) } : { httpUrl: FLASHQ_HTTP_URL }
const client = new FlashQ(options)

const events = client.events({ queues: ['parcels'], types: ['pushed', 'completed', 'failed'] })
await events.opened // what happens from here on is told

const worker = new Worker(
  'parcels',
  (job) => {
    if (job.data.weight > 30) throw new Error('too heavy')
    return { delivered: true }
  },
  options,
)
worker.on('error', (error) => console.error(error))
await worker.start()
await client.push('parcels', { weight: 2 })
await client.push('parcels', { weight: 31 }, { max_attempts: 1 })

let open = 2
for await (const event of events) {
  if (event.event === 'dropped') console.log('missed', event.count)
  else console.log(event.event, event.job_id, event.data ?? '', event.error ?? '')
  if (event.event === 'completed' || event.event === 'failed') open -= 1
  if (open === 0) break // this closes the connection of the events
}

await worker.stop()
await client.close()
