// `flashq-server migrate`: what an administrator does before the servers start, or instead of them.
//
//   migrate            brings the schema to this server's version
//   migrate --check    changes nothing; exit code 1 when there is something to do or the schema is too new
//   migrate --sql      prints the statements; needs no database
//
// Neighbours: `migrate.ts` does it; `src/main.ts` calls this one.

import { StorageFault } from '../../engine/storage-port.ts'
import { Connection } from './connection.ts'
import { checkSchema, migrate, migrationSql, type SchemaCheck } from './migrate.ts'

export interface MigrateOptions {
  /** '' = not set. */
  readonly url: string
  readonly schema: string
  /** One line, or several. */
  readonly print: (text: string) => void
}

const USAGE = 'usage: flashq-server migrate [--check | --sql]'
const EXIT = { done: 0, failed: 1, usage: 2 } as const

/** Resolves to the exit code. */
export async function runMigrate(
  args: readonly string[],
  options: MigrateOptions,
): Promise<number> {
  const { url, schema, print } = options
  const [flag = '', ...more] = args
  if (more.length > 0 || !['', '--check', '--sql'].includes(flag)) {
    print(USAGE)
    return EXIT.usage
  }
  if (flag === '--sql') {
    print(migrationSql(schema))
    return EXIT.done
  }
  if (url === '') {
    print('DATABASE_URL is not set')
    return EXIT.usage
  }
  const connection = new Connection({
    url,
    schema,
    applicationName: 'flashq:migrate',
    statementTimeoutMs: 60_000,
    answerTimeoutMs: 65_000,
    connectTimeoutMs: 10_000,
    lockTimeoutMs: 3_000,
    synchronousCommit: 'on',
  })
  try {
    if (flag === '--check') return printCheck(await checkSchema(connection, schema), options)
    const { applied, version } = await migrate(connection, schema)
    for (const step of applied) print(`applied version ${step.version}: ${step.name}`)
    print(`schema ${schema} is at version ${version}`)
    return EXIT.done
  } catch (error) {
    if (!(error instanceof StorageFault)) throw error
    print(`failed: ${error.message}`)
    return EXIT.failed
  } finally {
    await connection.close()
  }
}

function printCheck(check: SchemaCheck, { schema, print }: MigrateOptions): number {
  print(`schema ${schema} is at version ${check.version}`)
  for (const step of check.pending) print(`to do: version ${step.version}: ${step.name}`)
  for (const step of check.newer) print(`of a newer server: version ${step.version}: ${step.name}`)
  if (check.refused) print('this server refuses to use it')
  return check.refused || check.pending.length > 0 ? EXIT.failed : EXIT.done
}
