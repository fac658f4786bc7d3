#!/usr/bin/env node
// The command line as a process: its streams, its signals, its exit.
//
// 1. The first Ctrl-C (or SIGTERM, SIGHUP) ends the command in good order; the second one ends the process.
// 2. When nobody reads the output any more, as after `| head`, it ends without a word.

import { runCli } from './app.ts'
import { EXIT } from './exit-code.ts'

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
const ended = new AbortController()

for (const signal of SIGNALS) {
  process.on(signal, () => {
    if (ended.signal.aborted) process.exit(EXIT.interrupted)
    ended.abort(new Error('interrupted'))
  })
}
process.stdout.on('error', (fault: NodeJS.ErrnoException) => {
  if (fault.code !== 'EPIPE') throw fault
  ended.abort(new Error('nobody reads'))
})

const { env, stdin, stdout, stderr } = process
const code = await runCli(process.argv.slice(2), {
  env,
  stdin,
  stdout,
  stderr,
  signal: ended.signal,
})
process.exitCode = code
// A terminal or pipe that is still open for reading would keep the process.
stdin.destroy()
