// What a job can ask for: node examples/03-options.mjs

import { FlashQ } from 'flashq'

const { FLASHQ_HOST: host = '127.0.0.1', FLASHQ_PORT: port = '6789' } = process.env
const client = new FlashQ({ host, port: Number(port) })
await client.connect()

await client.push('reports', { name: 'ordinary' })
await client.push('reports', { name: 'urgent' }, { priority: 10 })
await client.push('reports', { name: 'later' }, { delay: 200 })
await client.push(
  'reports',
  { name: 'careful' },
  { max_attempts: 3, backoff: 1000, timeout: 30_000, ttl: 60_000, tags: ['monthly'] },
)
const only = await client.push('reports', { name: 'only one' }, { unique_key: 'report-7' })
await client
  .push('reports', { name: 'a second one' }, { unique_key: 'report-7' })
  .catch((error) => console.log('refused:', error.message))
console.log('job', only.id, 'is', await client.getState(only.id))

// The highest priority first, then the oldest; the delayed one when its time has come.
for (let count = 0; count < 5; count++) {
  const job = await client.pull('reports')
  console.log('pulled', job.data.name)
  await client.ack(job.id)
}

await client.close()
