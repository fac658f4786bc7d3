#!/usr/bin/env node
// The entry: arguments, settings, then a primary or, when this process was forked by one, a worker.

import cluster from 'node:cluster'
import { readConfig } from './config.ts'
import { answerArguments } from './help.ts'
import { startPrimary, startWorker } from './server.ts'
import { answerToken } from './token-command.ts'

const [command, ...args] = process.argv.slice(2)
const isMigrate = command === 'migrate'
const answer = isMigrate
  ? null
  : command === 'token'
    ? answerToken(args)
    : answerArguments(process.argv.slice(2))
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

if (isMigrate) {
  const { runMigrate } = await import('./storage/postgres/migrate-command.ts')
  const { databaseUrl, databaseSchema } = result.config
  process.exit(
    await runMigrate(args, {
      url: databaseUrl ?? '',
      schema: databaseSchema,
      print: (text) => console.log(text),
    }),
  )
} else if (cluster.isPrimary) await startPrimary(result.config)
else await startWorker(result.config)
