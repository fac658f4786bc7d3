// One job from push to result: node examples/01-push-pull-ack.mjs

import { FlashQ } from 'flashq'

const { FLASHQ_HOST: host = '127.0.0.1', FLASHQ_PORT: port = '6789' } = process.env
const client = new FlashQ({ host, port: Number(port) })
await client.connect()

const pushed = await client.push('emails', { to: 'ann@example.com', subject: 'Hello' })
console.log('pushed', pushed.id)

const job = await client.pull('emails') // waits until there is one
console.log('pulled', job.id, job.data)

await client.ack(job.id, { sent: true })
console.log('result', await client.getResult(job.id))

await client.close()
