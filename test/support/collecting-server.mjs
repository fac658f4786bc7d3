// The built server, whose worker says at each SIGUSR2 by how much its old objects have grown until then: by what was moved
// there and what was made there, whatever has been collected since.

import cluster from 'node:cluster'
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics } from 'node:v8'

function oldBytes() {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')
    .space_used_size
}

if (cluster.isWorker) {
  let grownBytes = 0
  let bytes = oldBytes()
  const look = () => {
    const now = oldBytes()
    grownBytes += Math.max(0, now - bytes)
    bytes = now
  }
  new PerformanceObserver(look).observe({ entryTypes: ['gc'] })
  process.on('SIGUSR2', () => {
    look()
    process.stdout.write(`${JSON.stringify({ level: 'info', msg: 'old objects', grownBytes })}\n`)
  })
}

await import('../../dist/main.js')
