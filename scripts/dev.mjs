// make dev: compiles when a source changes, restarts the server when the result compiles.
//
// `node --watch` is not used: it asks its child to report every module it loads over the IPC channel,
// and the server's own workers would inherit that and send such messages to their primary.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { forget, record } from './run-files.mjs'

/** @type {import('node:child_process').ChildProcess | null} */
let server = null
let isStopping = false
/** Restarts one after another, however fast the compiler is. */
let turn = Promise.resolve()

record(process.pid)
// In a group of its own: tsc is a script that starts a program, and both have to be ended.
const compiler = spawn(
  'node_modules/.bin/tsc',
  ['-p', 'tsconfig.build.json', '--watch', '--preserveWatchOutput', '--pretty', 'false'],
  { stdio: ['ignore', 'pipe', 'inherit'], detached: true },
)
createInterface({ input: compiler.stdout }).on('line', (line) => {
  if (line.trim() !== '') console.log(line)
  if (/\bFound 0 errors\b/.test(line)) turn = turn.then(restart)
})
compiler.on('exit', () => void stop('SIGTERM', false))
process.on('SIGINT', () => void stop('SIGINT', true))
process.on('SIGTERM', () => void stop('SIGTERM', true))

async function restart() {
  await end('SIGTERM')
  if (isStopping) return
  const env = { DRAIN_TIMEOUT_MS: '1000', ...process.env }
  server = spawn(process.execPath, ['dist/main.js'], { stdio: 'inherit', env })
}

/**
 * @param {NodeJS.Signals} signal
 * @param {boolean} isCompiling
 */
async function stop(signal, isCompiling) {
  if (isStopping) return
  isStopping = true
  if (isCompiling && compiler.pid !== undefined) process.kill(-compiler.pid, 'SIGTERM')
  await end(signal)
  forget(process.pid)
}

/** @param {NodeJS.Signals} signal */
async function end(signal) {
  const ending = server
  server = null
  if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return
  const exited = once(ending, 'exit')
  // Ctrl-C reaches the server by itself, and a second signal would cut its clean stop short.
  if (signal === 'SIGTERM' || !process.stdin.isTTY) ending.kill('SIGTERM')
  await exited
}
