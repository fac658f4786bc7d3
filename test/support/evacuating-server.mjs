// The built server, whose primary evacuates workers when it is told to: what a planned restart will do.
//
// SIGUSR2: the workers in EVACUATE ("1" or "1,2,1"), one after another: evacuate, log that it is done; with RESTART=1
// it is then told to exit, and the next one's turn is when its successor listens.

import cluster from 'node:cluster'
import { EventEmitter, once } from 'node:events'

const said = new EventEmitter()
/** Worker processes by index. The one that is forked after a death takes the dead one's place. */
const workers = []

function log(fields) {
  process.stdout.write(`${JSON.stringify({ level: 'info', ...fields })}\n`)
}

function forked(worker) {
  const vacant = workers.indexOf(null)
  const index = vacant < 0 ? workers.length : vacant
  workers[index] = worker
  worker.on('message', ({ kind }) => said.emit(`${kind} ${index}`))
  worker.on('exit', () => {
    workers[index] = null
  })
}

async function evacuate(index) {
  const evacuated = once(said, `evacuated ${index}`)
  workers[index].send({ kind: 'evacuate' })
  await evacuated
  log({ msg: 'evacuated', worker: index })
  if (process.env.RESTART !== '1') return
  const opened = once(said, `opened ${index}`)
  workers[index].send({ kind: 'exit' })
  await opened
}

if (cluster.isPrimary) {
  cluster.on('fork', forked)
  process.on('SIGUSR2', async () => {
    for (const index of process.env.EVACUATE.split(',')) await evacuate(Number(index))
    log({ msg: 'all evacuated' })
  })
}

await import('../../dist/main.js')
