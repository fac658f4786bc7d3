// A PostgreSQL for the tests of storage.
import { Client, type QueryResultRow } from 'pg'

export const databaseUrl = process.env['FLASHQ_TEST_URL'] ?? 'postgres://postgres@127.0.0.1:55418/postgres'

/** One session of the test's own. */
export async function withAdmin<T>(run: (admin: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'test-admin' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await run(client)
  } finally {
    await client.end()
  }
}

export async function sql<Row extends QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
  return withAdmin(async (admin) => (await admin.query<Row>(text, values)).rows)
}

let schemas = 0
/** A name that no other test has. */
export function freshSchema(): string {
  schemas += 1
  return `fq_test_${process.pid}_${schemas}`
}

export async function dropSchema(schema: string): Promise<void> {
  await sql(`set client_min_messages = error; drop schema if exists "${schema}" cascade`)
}
