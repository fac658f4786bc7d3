// One PostgreSQL per run of Vitest: started when the first test asks for it, stopped when all are done.
//
// The run's process has the server; test files are processes of their own and ask it over a socket (`database.ts`).

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { type DatabaseSource, startDatabase } from './database-source.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    databaseBroker: string
  }
}

/** What it says, as one line of JSON. */
export type BrokerAnswer = { readonly url: string } | { readonly error: string }

/** Vitest calls it before the tests, and what it returns after them. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'flashq-db-'))
  const path = join(folder, 'broker')
  let source: Promise<DatabaseSource> | null = null
  const server = createServer((socket) => {
    source ??= startDatabase()
    const answer: Promise<BrokerAnswer> = source.then(
      ({ url }) => ({ url }),
      (error: Error) => ({ error: error.message }),
    )
    socket.on('error', () => {})
    void answer.then((said) => socket.end(`${JSON.stringify(said)}\n`))
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  project.provide('databaseBroker', path)
  return async () => {
    server.close()
    rmSync(folder, { recursive: true, force: true })
    if (source === null) return
    const started = await source.catch(() => null)
    await started?.stop()
  }
}
