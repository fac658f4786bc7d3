import { afterEach, describe, expect, it } from 'vitest'
import { StorageFault } from '../../src/engine/storage-port.ts'
import { Connection } from '../../src/storage/postgres/connection.ts'
import { checkSchema, migrate, migrationSql } from '../../src/storage/postgres/migrate.ts'
import { runMigrate } from '../../src/storage/postgres/migrate-command.ts'
import { migrations } from '../../src/storage/postgres/schema/migrations.ts'
import { databaseUrl, dropSchema, freshSchema, sql } from '../support/storage-database.ts'

const made: string[] = []
const connections: Connection[] = []
afterEach(async () => {
  for (const c of connections.splice(0)) await c.close()
  for (const s of made.splice(0)) await dropSchema(s)
})
function connect(schema: string): Connection {
  const c = new Connection({
    url: databaseUrl, schema, applicationName: 'flashq:test', statementTimeoutMs: 30_000, answerTimeoutMs: 30_000,
    connectTimeoutMs: 5_000, lockTimeoutMs: 0, synchronousCommit: 'on',
  })
  connections.push(c)
  return c
}
describe('x', () => {
  it('makes', async () => {
    const schema = freshSchema() + ' "x"'.slice(0,2)
    made.push(schema)
    const t = Date.now()
    console.log(await migrate(connect(schema), schema), Date.now() - t)
    console.log(await migrate(connect(schema), schema), Date.now() - t)
    console.log(await checkSchema(connect(schema), schema))
    console.log(await sql(`select attstorage, attrelid::regclass from pg_attribute where attname='records' and attrelid::regclass::text like $1 limit 3`, ['%'+schema+'%']))
  })
})
