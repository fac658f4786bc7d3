// What the page of browser.test.ts does with the client's entry for browsers: a job, its events, a worker, a webhook
// that is changed. The page's own server gets what came of it.

import { FlashQ, Worker } from './dist/http.js'

async function round({ httpUrl, token }) {
  const client = new FlashQ({ httpUrl, token })
  await client.connect()
  const events = client.events({ queues: ['page'], types: ['pushed', 'completed'] })
  await events.opened
  const worker = new Worker('page', (job) => ({ twice: 2 * job.data.n }), { httpUrl, token })
  await worker.start()
  const { id } = await client.push('page', { n: 21 })
  const heard = [(await events.next()).value, (await events.next()).value]
  await events.return()
  await worker.stop()
  const result = await client.getResult(id)
  await client.addCron('page', { queue: 'page', data: 1, schedule: '0 0 1 1 *' })
  const removed = await client.deleteCron('page')
  const refused = await client.changeWebhook('wh_7', { enabled: false }).catch(({ code }) => code)
  await client.close()
  const own = heard.every((event) => event.job_id === id)
  return { heard: heard.map(({ event }) => event), own, result, removed, refused }
}

const { here, elsewhere } = await (await fetch('/servers')).json()
const outcome = {
  here: await round(here).catch((error) => String(error)),
  elsewhere: await new FlashQ(elsewhere).connect().catch(({ code }) => code),
}
await fetch('/outcome', { method: 'POST', body: JSON.stringify(outcome) })
