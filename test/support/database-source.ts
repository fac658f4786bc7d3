// Where the tests' PostgreSQL comes from, the first of these that there is:
//
//   TEST_DATABASE_URL        used as it is, and left as it was: every test has a schema of its own
//   a Docker engine          a container of TEST_POSTGRES_IMAGE (Testcontainers)
//   neither                  the embedded one, in a temporary folder

import type { Environment } from '../../src/config.ts'
import { dockerAnswers } from './docker-probe.ts'
import { OwnPostgres, queryOnce } from './own-postgres.ts'

export interface DatabaseSource {
  readonly url: string
  /** For people: what it is, without secrets. */
  readonly what: string
  stop(): Promise<void>
}

const IMAGE = 'postgres:18-alpine'
/** A whole server of several workers, times the tests that run side by side. */
const CONNECTIONS_MAX = 300

export async function startDatabase(
  env: Environment = process.env,
  tell: (text: string) => void = console.log,
): Promise<DatabaseSource> {
  const source = (await given(env)) ?? (await container(env, tell)) ?? (await embedded())
  const [row] = await queryOnce<{ version: string }>(
    source.url,
    `select current_setting('server_version') as version`,
  )
  const what = `${source.what}, version ${row?.version}`
  tell(`Tests use PostgreSQL: ${what}`)
  return { ...source, what }
}

async function given(env: Environment): Promise<DatabaseSource | null> {
  const url = env['TEST_DATABASE_URL']
  return url ? { url, what: 'TEST_DATABASE_URL', stop: async () => {} } : null
}

async function container(
  env: Environment,
  tell: (text: string) => void,
): Promise<DatabaseSource | null> {
  if (!(await dockerAnswers(env))) return null
  const image = env['TEST_POSTGRES_IMAGE'] || IMAGE
  try {
    const { PostgreSqlContainer } = await import('@testcontainers/postgresql')
    const started = await new PostgreSqlContainer(image)
      .withCommand(['postgres', '-c', `max_connections=${CONNECTIONS_MAX}`])
      .start()
    return {
      url: started.getConnectionUri(),
      what: `Docker container ${image}`,
      stop: async () => {
        await started.stop()
      },
    }
  } catch (error) {
    tell(`Docker answers, but ${image} cannot be started: ${(error as Error).message}`)
    return null
  }
}

async function embedded(): Promise<DatabaseSource> {
  const own = await OwnPostgres.open()
  return { url: own.url, what: 'embedded', stop: () => own.destroy() }
}
