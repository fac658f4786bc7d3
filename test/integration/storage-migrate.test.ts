// Bringing a schema to the version of this server: at once by several, again, by a role that may do little, and not
// at all where it would be wrong.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Connection } from '../../src/storage/postgres/connection.ts'
import { checkSchema, migrate, migrationSql } from '../../src/storage/postgres/migrate.ts'
import { runMigrate } from '../../src/storage/postgres/migrate-command.ts'
import { type Migration, migrations } from '../../src/storage/postgres/schema/migrations.ts'
import { type OwnBench, StorageBench } from '../support/storage-bench.ts'

let bench: OwnBench
let schemas = 0
const newest = migrations.length

beforeAll(async () => {
  bench = await StorageBench.onOwn({ fsync: 'off' })
})
afterEach(() => bench.endAll())
afterAll(() => bench?.close())

function freshSchema(): string {
  schemas++
  return `Schema "${schemas}"`
}

function connect(schema: string, url = bench.database.url): Connection {
  return bench.connection({ schema, url })
}

const later: Migration = {
  version: newest + 1,
  name: 'later',
  breaking: false,
  sql: (schema) => `create table ${schema}.later (x int);`,
  tables: ['later'],
}
const breaking: Migration = {
  version: newest + 2,
  name: 'wholly new',
  breaking: true,
  sql: (schema) => `drop table ${schema}.later;`,
  tables: [],
}

describe('migrating', () => {
  it('is done once by any number who start together', async () => {
    const schema = freshSchema()
    const all = await Promise.all([1, 2, 3, 4, 5, 6].map(() => migrate(connect(schema), schema)))
    expect(all.map(({ version }) => version)).toEqual(all.map(() => newest))
    const applied = all.flatMap((each) => each.applied.map(({ version }) => version))
    expect(applied.sort()).toEqual(migrations.map(({ version }) => version))
    const rows = await bench.sql(`select shard from "${schema.replaceAll('"', '""')}".shard`)
    expect(rows).toHaveLength(32)
  })

  it('again does nothing; what is missing is added', async () => {
    const schema = freshSchema()
    await migrate(connect(schema), schema)
    expect(await migrate(connect(schema), schema)).toEqual({ applied: [], version: newest })
    const more = [...migrations, later]
    expect(await checkSchema(connect(schema), schema, more)).toMatchObject({
      version: newest,
      pending: [{ version: newest + 1, name: 'later' }],
    })
    expect(await migrate(connect(schema), schema, more)).toEqual({
      applied: [{ version: newest + 1, name: 'later' }],
      version: newest + 1,
    })
  })

  it('that fails leaves nothing of its version behind', async () => {
    const schema = freshSchema()
    const wrong = { ...later, sql: (quoted: string) => `${later.sql(quoted)} select 1 / 0;` }
    await expect(migrate(connect(schema), schema, [...migrations, wrong])).rejects.toMatchObject({
      code: '22012',
      retryable: false,
    })
    expect(await checkSchema(connect(schema), schema)).toMatchObject({ version: newest })
    await migrate(connect(schema), schema, [...migrations, later])
  })

  it('is tried again when a lock was not to be had', async () => {
    const schema = freshSchema()
    await bench.sql(`create sequence if not exists public.attempts; select setval('attempts', 1)`)
    const contended = {
      ...later,
      tables: [],
      sql: () => `do $$ begin if nextval('public.attempts') < 4 then
        raise exception 'busy' using errcode = '55P03'; end if; end $$`,
    }
    const { version } = await migrate(connect(schema), schema, [...migrations, contended])
    expect(version).toBe(newest + 1)
  })

  it('goes on with what a newer server has added, and refuses what it has changed', async () => {
    const schema = freshSchema()
    await migrate(connect(schema), schema, [...migrations, later])
    expect(await migrate(connect(schema), schema)).toEqual({ applied: [], version: newest + 1 })
    await migrate(connect(schema), schema, [...migrations, later, breaking])
    const refused = { code: 'schema_newer', retryable: false }
    await expect(migrate(connect(schema), schema)).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('wholly new'),
    })
    expect(await checkSchema(connect(schema), schema)).toMatchObject({ refused: true })
  })

  it('works with a role that owns the schema and may make none', async () => {
    const url = await roleUrl('modest')
    await bench.sql('create schema modest authorization modest')
    expect(await migrate(connect('modest', url), 'modest')).toMatchObject({ version: newest })
  })

  it('by a role that may not says what to do', async () => {
    const url = await roleUrl('stranger')
    const failing = migrate(connect('theirs', url), 'theirs')
    await expect(failing).rejects.toMatchObject({
      code: '42501',
      message: expect.stringContaining('own the schema'),
    })
  })

  it('of a database that is not UTF8, or read-only, is refused', async () => {
    await bench.sql(
      `create database latin template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'`,
    )
    const url = bench.database.url.replace(/\/postgres$/, '/latin')
    await expect(migrate(connect('x', url), 'x')).rejects.toMatchObject({
      code: 'encoding',
      message: expect.stringContaining('LATIN1'),
    })
    await bench.sql('create database frozen')
    await bench.sql('alter database frozen set default_transaction_read_only = on')
    const frozen = bench.database.url.replace(/\/postgres$/, '/frozen')
    await expect(migrate(connect('x', frozen), 'x')).rejects.toMatchObject({
      code: '25006',
      message: expect.stringContaining('read-only'),
    })
  })
})

describe('the text for administrators', () => {
  it('makes the same schema', async () => {
    const [byHand, byServer] = [freshSchema(), freshSchema()]
    await bench.sql(migrationSql(byHand))
    await migrate(connect(byServer), byServer)
    expect(await checkSchema(connect(byHand), byHand)).toMatchObject({
      version: newest,
      pending: [],
    })
    expect(await relations(byHand)).toEqual(await relations(byServer))
  })
})

describe('the command', () => {
  async function run(schema: string, ...args: string[]): Promise<[number, string]> {
    const lines: string[] = []
    const print = (text: string) => void lines.push(text)
    const code = await runMigrate(args, { url: bench.database.url, schema, print })
    return [code, lines.join('\n')]
  }

  it('tells what there is to do, does it, and has nothing more to do', async () => {
    const schema = freshSchema()
    expect(await run(schema, '--check')).toEqual([1, expect.stringContaining('version 0')])
    const [code, text] = await run(schema)
    expect(code).toBe(0)
    expect(text).toContain('applied version 1: journal')
    expect(await run(schema, '--check')).toEqual([0, expect.stringContaining(`version ${newest}`)])
    expect(await run(schema)).toEqual([0, `schema ${schema} is at version ${newest}`])
  })

  it('prints the statements without a database', async () => {
    const lines: string[] = []
    const print = (text: string) => void lines.push(text)
    expect(await runMigrate(['--sql'], { url: '', schema: 'some', print })).toBe(0)
    expect(lines.join('\n')).toBe(migrationSql('some'))
  })

  it('says what is wrong', async () => {
    expect((await run('x', '--what'))[0]).toBe(2)
    const print = () => undefined
    expect(await runMigrate([], { url: '', schema: 'x', print })).toBe(2)
    const schema = freshSchema()
    await migrate(connect(schema), schema, [...migrations, later, breaking])
    for (const args of [[], ['--check']]) {
      const [code, text] = await run(schema, ...args)
      expect(code).toBe(1)
      expect(text).toMatch(/wholly new|refuses/)
    }
  })
})

/** Everything with a name, as PostgreSQL knows it. */
function relations(schema: string): Promise<object[]> {
  return bench.sql(
    `select c.relname, c.relkind, c.reloptions, pg_get_expr(c.relpartbound, c.oid) as bound,
      (select array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || a.attstorage::text || a.attnotnull
        order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as columns
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 order by c.relname`,
    [schema],
  )
}

async function roleUrl(role: string): Promise<string> {
  await bench.sql(`create role ${role} login`)
  return bench.database.url.replace('//flashq@', `//${role}@`)
}
