#!/usr/bin/env node
// The entry: arguments, settings, then a primary or, when this process was forked by one, a worker.

import cluster from 'node:cluster'
import { readConfig } from './config.ts'
import { answerArguments } from './help.ts'
import { startPrimary, startWorker } from './server.ts'

const answer = answerArguments(process.argv.slice(2))
if (answer !== null) {
  const stream = answer.exitCode === 0 ? process.stdout : process.stderr
  stream.write(answer.text)
  process.exit(answer.exitCode)
}

const result = readConfig(process.env)
if (!result.ok) {
  process.stderr.write(result.errors.map((error) => `flashq-server: ${error}\n`).join(''))
  process.exit(2)
}

if (cluster.isPrimary) await startPrimary(result.config)
else startWorker(result.config)
