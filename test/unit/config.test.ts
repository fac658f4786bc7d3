import { describe, expect, it } from 'vitest'
import {
  type Config,
  DEFAULT_UNIX_SOCKET,
  type Environment,
  type Machine,
  readConfig,
  type Setting,
  settings,
} from '../../src/config.ts'
import { configWarnings } from '../../src/config-warnings.ts'
import { limits } from '../../src/engine/limits.ts'

const MIB = 1024 * 1024
const machine: Machine = { parallelism: 8, memoryBytes: 1000 * MIB }
const rows = Object.entries(settings) as [string, Setting<unknown>][]

describe('the configuration', () => {
  it('has a default for everything', () => {
    expect(accepted({})).toEqual({
      host: '127.0.0.1',
      port: 6789,
      http: false,
      httpPort: 6790,
      allowedHosts: [],
      corsOrigins: [],
      grpc: false,
      grpcPort: 6791,
      grpcReflection: false,
      unixSocket: null,
      workers: 8,
      authTokens: [],
      authFile: null,
      authTimeoutMs: 10_000,
      strangersMax: 100,
      tlsCert: null,
      tlsKey: null,
      tlsCa: null,
      logLevel: 'info',
      frameBytesMax: limits.frameBytesMax,
      connectionsMax: 10_000,
      memoryBytesMax: 600 * MIB,
      retentionCount: 10_000,
      retentionMs: 3_600_000,
      retentionBytes: 32 * MIB,
      drainTimeoutMs: 25_000,
      databaseUrl: null,
      databaseSchema: 'flashq',
      durability: 'sync',
      databaseStartTimeoutMs: 30_000,
      databaseConnections: 4,
      dataDir: './data',
      checkpointBytes: 64 * MIB,
      journalBacklogBytes: 64 * MIB,
      historyDays: 7,
      metricsQueuesMax: 100,
      otlpEndpoint: null,
      webhookHttp: false,
      webhookAllow: [],
      webhookPorts: [],
      webhookProxy: null,
      // 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
      webhookPausesMs: [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].map(
        (seconds) => seconds * 1000,
      ),
      webhookDisableMs: 432_000_000,
      webhookIncomingSecrets: [],
    })
  })

  it('has defaults that it would accept from an operator', () => {
    for (const [field, setting] of rows) {
      expect(setting.read(setting.default, machine), field).toBeDefined()
      expect(setting.default === '' ? setting.defaultNote : 'said', field).not.toBe('')
    }
  })

  it('cannot be changed after it was read', () => {
    const config = accepted({ AUTH_TOKENS: 'a' })
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.authTokens)).toBe(true)
  })

  it('takes an empty value for one that is not set', () => {
    const empty = Object.fromEntries(rows.map(([, setting]) => [setting.name, ' ']))
    expect(accepted(empty)).toEqual(accepted({}))
  })

  it('reads the machine it runs on when none is given', () => {
    const result = readConfig({})
    expect(result.ok && result.config.workers).toBeGreaterThanOrEqual(1)
    expect(result.ok && Number.isSafeInteger(result.config.memoryBytesMax)).toBe(true)
    expect(result.ok && result.config.memoryBytesMax).toBeGreaterThan(MIB)
  })

  it('never has more workers than shards, nor fewer than one', () => {
    expect(accepted({}, { ...machine, parallelism: 96 }).workers).toBe(32)
    expect(accepted({}, { ...machine, parallelism: 0 }).workers).toBe(1)
  })

  const allowed: [string, string, keyof Config, unknown][] = [
    ['HOST', '0.0.0.0', 'host', '0.0.0.0'],
    ['HOST', '::1', 'host', '::1'],
    ['HOST', 'queue.internal', 'host', 'queue.internal'],
    ['PORT', '0', 'port', 0],
    ['PORT', ' 65535 ', 'port', 65_535],
    ['UNIX_SOCKET', '1', 'unixSocket', DEFAULT_UNIX_SOCKET],
    ['UNIX_SOCKET', '0', 'unixSocket', null],
    ['UNIX_SOCKET', './q.sock', 'unixSocket', './q.sock'],
    ['UNIX_SOCKET', '/run/flashq/q.sock', 'unixSocket', '/run/flashq/q.sock'],
    ['WORKERS', '32', 'workers', 32],
    ['AUTH_TOKENS', ' a , b,,a ', 'authTokens', ['a', 'b']],
    ['ALLOWED_HOSTS', 'Jobs.example , b,,b', 'allowedHosts', ['jobs.example', 'b']],
    [
      'CORS_ORIGINS',
      'https://a.example,http://localhost:3000',
      'corsOrigins',
      ['https://a.example', 'http://localhost:3000'],
    ],
    ['LOG_LEVEL', 'WARN', 'logLevel', 'warn'],
    ['LOG_LEVEL', 'silent', 'logLevel', 'silent'],
    ['FRAME_BYTES_MAX', '2097152', 'frameBytesMax', 2 * MIB],
    ['MEMORY_MAX_MB', '512', 'memoryBytesMax', 512 * MIB],
    ['MEMORY_MAX_MB', '0', 'memoryBytesMax', 600 * MIB],
    ['RETENTION_COUNT', '0', 'retentionCount', 0],
    ['RETENTION_MS', '0', 'retentionMs', 0],
    ['RETENTION_MB', '1', 'retentionBytes', MIB],
    ['DRAIN_TIMEOUT_MS', '0', 'drainTimeoutMs', 0],
    ['CONNECTIONS_MAX', '1', 'connectionsMax', 1],
    ['DATABASE_URL', 'embedded', 'databaseUrl', 'embedded'],
    ['DATABASE_URL', 'postgres://u:p@db:5432/q', 'databaseUrl', 'postgres://u:p@db:5432/q'],
    ['DATABASE_URL', 'postgresql://db', 'databaseUrl', 'postgresql://db'],
    [
      'DATABASE_URL',
      'postgresql://u@%2Ftmp%2Fx:1/q',
      'databaseUrl',
      'postgresql://u@%2Ftmp%2Fx:1/q',
    ],
    ['DATABASE_URL', 'postgres://u@/q?host=/tmp', 'databaseUrl', 'postgres://u@/q?host=/tmp'],
    ['DATABASE_SCHEMA', '_jobs_2', 'databaseSchema', '_jobs_2'],
    ['DURABILITY', 'ASYNC', 'durability', 'async'],
    ['DATABASE_START_TIMEOUT_MS', '0', 'databaseStartTimeoutMs', 0],
    ['DATABASE_CONNECTIONS', '32', 'databaseConnections', 32],
    ['DATA_DIR', '/var/lib/flash q', 'dataDir', '/var/lib/flash q'],
    ['CHECKPOINT_MB', '1', 'checkpointBytes', MIB],
    ['JOURNAL_BACKLOG_MB', '2', 'journalBacklogBytes', 2 * MIB],
    ['HISTORY_DAYS', '0', 'historyDays', 0],
    ['METRICS_QUEUES_MAX', '7', 'metricsQueuesMax', 7],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://c:4318', 'otlpEndpoint', 'http://c:4318'],
  ]
  it.each(allowed)('takes %s=%j', (name, value, field, expected) => {
    expect(accepted({ [name]: value })[field]).toEqual(expected)
  })

  const refused: [string, string][] = [
    ['HOST', 'two words'],
    ['HOST', 'http://localhost'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '6789.0'],
    ['PORT', '1e3'],
    ['PORT', '0x10'],
    ['PORT', '06789'],
    ['PORT', '6789tcp'],
    ['PORT', '99999999999999999999'],
    ['UNIX_SOCKET', 'true'],
    ['UNIX_SOCKET', '/run/'],
    ['UNIX_SOCKET', `/${'x'.repeat(103)}`],
    ['WORKERS', '0'],
    ['WORKERS', '33'],
    ['ALLOWED_HOSTS', ','],
    ['ALLOWED_HOSTS', 'a:80'],
    ['ALLOWED_HOSTS', '*'],
    ['CORS_ORIGINS', '*'],
    ['CORS_ORIGINS', 'null'],
    ['CORS_ORIGINS', 'https://a.example/'],
    ['CORS_ORIGINS', 'a.example'],
    ['CORS_ORIGINS', 'file:///x'],
    ['CORS_ORIGINS', 'https://a.example:443'],
    ['AUTH_TOKENS', ' , ,'],
    ['AUTH_TOKENS', `ok,${'x'.repeat(1025)}`],
    ['AUTH_TOKENS', 'a\u0007b'],
    ['LOG_LEVEL', 'verbose'],
    ['FRAME_BYTES_MAX', '2097151'],
    ['FRAME_BYTES_MAX', '16 MiB'],
    ['MEMORY_MAX_MB', '-1'],
    ['RETENTION_COUNT', 'all'],
    ['DRAIN_TIMEOUT_MS', '600001'],
    ['CONNECTIONS_MAX', '0'],
    ['DATABASE_URL', 'mysql://db/q'],
    ['DATABASE_URL', 'Embedded PostgreSQL'],
    ['DATABASE_URL', 'db:5432'],
    ['DATABASE_URL', 'postgres://db:port/q'],
    ['DATABASE_URL', 'postgres://db/q a'],
    ['DATABASE_SCHEMA', 'Jobs'],
    ['DATABASE_SCHEMA', 'pg_jobs'],
    ['DATABASE_SCHEMA', 'a"b'],
    ['DATABASE_SCHEMA', 'x'.repeat(64)],
    ['DURABILITY', 'fsync'],
    ['DATABASE_START_TIMEOUT_MS', '-1'],
    ['DATABASE_CONNECTIONS', '0'],
    ['DATABASE_CONNECTIONS', '33'],
    ['DATA_DIR', 'a\u0007b'],
    ['CHECKPOINT_MB', '0'],
    ['JOURNAL_BACKLOG_MB', '0'],
    ['HISTORY_DAYS', '3651'],
  ]
  it.each(refused)('refuses %s=%j, naming it and what is allowed', (name, value) => {
    const [first, ...rest] = errorsOf({ [name]: value })
    expect(rest).toEqual([])
    expect(first).toMatch(new RegExp(`^${name} .*not allowed\\. Allowed: .{3}`))
  })

  it('reports everything that is wrong at once', () => {
    const errors = errorsOf({ PORT: 'x', WORKERS: 'x', LOG_LEVEL: 'x', HOST: '127.0.0.1' })
    expect(errors.map((error) => error.split(' ')[0])).toEqual(['PORT', 'WORKERS', 'LOG_LEVEL'])
  })

  it('shows the refused value, unless it is a secret', () => {
    expect(errorsOf({ PORT: 'seven' })[0]).toContain('"seven"')
    expect(errorsOf({ AUTH_TOKENS: 'hush\u0007' })[0]).not.toContain('hush')
    expect(errorsOf({ DATABASE_URL: 'postgres://u:hush@db:x/q' })[0]).not.toContain('hush')
  })

  it('shows a hostile value short and harmless', () => {
    const [error = ''] = errorsOf({ HOST: `\u001b[2J\u009b${'x'.repeat(5000)}` })
    expect(error).not.toMatch(/\p{Cc}/u)
    expect(error.length).toBeLessThan(200)
  })
})

describe('files', () => {
  it('of TLS go together', () => {
    const tls = { TLS_CERT: '/c.pem', TLS_KEY: '/k.pem', TLS_CA: '/ca.pem' }
    expect(accepted(tls)).toMatchObject({ tlsCert: '/c.pem', tlsKey: '/k.pem', tlsCa: '/ca.pem' })
    expect(errorsOf({ TLS_CERT: '/c.pem' })).toEqual([
      'TLS_KEY is not set, and TLS_CERT is of no use without it',
    ])
    expect(errorsOf({ TLS_KEY: '/k.pem' })).toEqual([
      'TLS_CERT is not set, and TLS_KEY is of no use without it',
    ])
    expect(errorsOf({ TLS_CA: '/ca.pem' })).toEqual([
      'TLS_CERT is not set, and TLS_CA is of no use without it',
    ])
  })
})

describe('the warnings', () => {
  it('say when a server without tokens listens to the world', () => {
    const open = [expect.stringContaining('neither AUTH_TOKENS nor AUTH_FILE is set')]
    expect(configWarnings(accepted({ HOST: '0.0.0.0' }), {})).toEqual(open)
    const ca = { TLS_CERT: '/c', TLS_KEY: '/k', TLS_CA: '/ca' }
    expect(configWarnings(accepted({ HOST: '0.0.0.0', ...ca }), {})).toEqual([])
    for (const HOST of ['127.0.0.1', '127.0.0.2', '::1', 'localhost']) {
      expect(configWarnings(accepted({ HOST }), {})).toEqual([])
    }
  })

  it('say when tokens cross a network in plain text', () => {
    const tls = { TLS_CERT: '/c', TLS_KEY: '/k' }
    for (const tokens of [{ AUTH_TOKENS: 'hush' }, { AUTH_FILE: '/tokens' }]) {
      const env = { HOST: '0.0.0.0', ...tokens }
      expect(configWarnings(accepted(env), {})).toEqual([
        'HOST is 0.0.0.0 and TLS_CERT is not set: tokens and jobs cross the network in plain text',
      ])
      expect(configWarnings(accepted({ ...env, ...tls }), {})).toEqual([])
      expect(configWarnings(accepted(tokens), {})).toEqual([])
    }
  })

  it('say when a feature is asked for that this version does not have', () => {
    for (const name of ['CLUSTER_MODE']) {
      const [warning] = configWarnings(accepted({}), { [name]: 'hush' })
      expect(warning).toContain(name)
      expect(warning).not.toContain('hush')
    }
    expect(configWarnings(accepted({}), { DATABASE_URL: 'embedded' })).toEqual([])
  })

  it('say when durability is asked for and there is nothing to keep jobs in', () => {
    for (const DURABILITY of ['sync', 'async']) {
      const env = { DURABILITY }
      expect(configWarnings(accepted(env), env)).toEqual([
        expect.stringContaining(`DURABILITY is ${DURABILITY} and DATABASE_URL is not set`),
      ])
      const kept = { ...env, DATABASE_URL: 'embedded' }
      expect(configWarnings(accepted(kept), kept)).toEqual([])
    }
  })
})

function accepted(env: Environment, on: Machine = machine): Config {
  const result = readConfig(env, on)
  if (!result.ok) throw new Error(result.errors.join('\n'))
  return result.config
}

function errorsOf(env: Environment): readonly string[] {
  const result = readConfig(env, machine)
  if (result.ok) throw new Error('was accepted')
  return result.errors
}
