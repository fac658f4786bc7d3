// make stop: ends the servers that make run and make dev started in this checkout, and waits for them.

import { setTimeout as sleep } from 'node:timers/promises'
import { forget, isOurs, recorded } from './run-files.mjs'

// A clean stop takes at most DRAIN_TIMEOUT_MS, 25 s unless it was set to more.
const WAIT_MS = 35_000

const running = recorded().filter(isOurs)
for (const pid of running) process.kill(pid, 'SIGTERM')

const deadline = Date.now() + WAIT_MS
let left = running
while (left.length > 0 && Date.now() < deadline) {
  await sleep(50)
  left = left.filter(isOurs)
}

for (const pid of recorded()) if (!left.includes(pid)) forget(pid)
for (const pid of running) {
  console.log(left.includes(pid) ? `${pid} has not stopped yet.` : `Stopped ${pid}.`)
}
if (running.length === 0) console.log('Nothing to stop.')
if (left.length > 0) process.exitCode = 1
