// A session with PostgreSQL that lets the test do something before the n-th statement.

import type { QueryResultRow } from 'pg'
import {
  type Answer,
  Connection,
  type Session,
  type SessionSettings,
  type Statement,
} from '../../src/storage/postgres/connection.ts'

/** `pid`: of the backend that is to run it, when it is within a transaction. */
export type BeforeStatement = (n: number, text: string, session: Session | null) => Promise<void>

export class SteppedConnection extends Connection {
  statements = 0
  /** Transactions whose commit succeeded. */
  commits = 0
  before: BeforeStatement
  /** After each commit. */
  committed: () => void = () => undefined

  constructor(settings: SessionSettings, before: BeforeStatement) {
    super(settings)
    this.before = before
  }

  override async query<Row extends QueryResultRow>(
    statement: Statement,
    values: readonly unknown[] = [],
  ): Promise<Answer<Row>> {
    await this.before(++this.statements, statement.text, null)
    return super.query<Row>(statement, values)
  }

  override async transaction<T>(run: (session: Session) => Promise<T>): Promise<T> {
    const result = await super.transaction((session) =>
      run({
        client: session.client,
        query: async (statement, values) => {
          await this.before(++this.statements, statement.text, session)
          return session.query(statement, values)
        },
      }),
    )
    this.commits++
    this.committed()
    return result
  }
}
