// PostgreSQL for tests that share one: each has a schema of its own. `database-source.ts` says which server it is.
//
// A test that stops or kills PostgreSQL needs its own: `own-postgres.ts`.

import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { inject } from 'vitest'
import type { BrokerAnswer } from './database-broker.ts'
import { queryOnce } from './own-postgres.ts'

export interface TestDatabase {
  readonly url: string
  /** Of nobody else, and not made yet. */
  readonly schema: string
  /** Of everything in the schema; whoever holds a lock in there must have ended. */
  drop(): Promise<void>
}

export async function openTestDatabase(): Promise<TestDatabase> {
  const answer = JSON.parse(await text(connect(inject('databaseBroker')))) as BrokerAnswer
  if ('error' in answer) throw new Error(`no PostgreSQL for tests: ${answer.error}`)
  const { url } = answer
  const schema = `test_${randomBytes(8).toString('hex')}`
  return {
    url,
    schema,
    drop: async () => {
      // One message: a lock that somebody left behind is an error rather than a test that hangs.
      await queryOnce(url, `set lock_timeout = '10s'; drop schema if exists ${schema} cascade`)
    },
  }
}
