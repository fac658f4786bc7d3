// Every setting of the server, in one table: `settings` below.
//
// 1. The environment is the only source. `readConfig` turns it into a frozen `Config` or into the
//    list of everything that is wrong with it; a value is never replaced by a default in silence.
// 2. An empty value counts as not set, so that `PORT=${PORT:-}` in a compose file works.
// 3. A secret never appears in an error, in `--help` or in a log.
// 4. A new field of `Config` without a row in the table does not compile; `--help` (`help.ts`) and
//    `docs/configuration.md` are made from the same rows.
//
// Neighbours: defaults and bounds that are the engine's come from `engine/limits.ts`; `setting.ts` makes rows; those of
// webhooks, metrics and traces are in files of their own.

import { availableParallelism, totalmem } from 'node:os'
import { limits } from './engine/limits.ts'
import { type ObservationConfig, observationSettings } from './observation-settings.ts'
import { file, integer, type Machine, onOff, readPath, type Setting } from './setting.ts'
import { type WebhookConfig, webhookSettings } from './webhook-settings.ts'

export type { Machine, Setting } from './setting.ts'

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

const durabilities = ['sync', 'async'] as const
type Durability = (typeof durabilities)[number]

/** In place of a URL: a private PostgreSQL that starts and ends with the server. */
export const EMBEDDED = 'embedded'

export interface Config extends ObservationConfig, WebhookConfig {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  readonly unixSocket: string | null
  readonly http: boolean
  readonly httpPort: number
  /** In lower case; besides those of the loopback and `host`. */
  readonly allowedHosts: readonly string[]
  readonly corsOrigins: readonly string[]
  readonly grpc: boolean
  readonly grpcPort: number
  readonly grpcReflection: boolean
  readonly workers: number
  /** Empty, and no `authFile` = everybody may use the server. */
  readonly authTokens: readonly string[]
  readonly authFile: string | null
  readonly authTimeoutMs: number
  /** Of one address, to one worker. */
  readonly strangersMax: number
  /** All three null = nothing is encrypted; with `tlsCert` there is a `tlsKey`. */
  readonly tlsCert: string | null
  readonly tlsKey: string | null
  readonly tlsCa: string | null
  readonly logLevel: LogLevel
  readonly frameBytesMax: number
  readonly connectionsMax: number
  /** Of the whole node, never 0. */
  readonly memoryBytesMax: number
  readonly retentionCount: number
  readonly retentionMs: number
  readonly retentionBytes: number
  readonly drainTimeoutMs: number
  /** A URL, or `EMBEDDED`; null = jobs are in memory alone. */
  readonly databaseUrl: string | null
  readonly databaseSchema: string
  readonly durability: Durability
  readonly databaseStartTimeoutMs: number
  /** Of one worker, for appending. */
  readonly databaseConnections: number
  readonly dataDir: string
  readonly checkpointBytes: number
  /** Of one worker. */
  readonly journalBacklogBytes: number
  readonly historyDays: number
}

export const DEFAULT_UNIX_SOCKET = '/tmp/flashq.sock'
const MIB = 1024 * 1024
const DAY_MS = 24 * 60 * 60 * 1000
const WORKERS_MAX = 32
const TOKENS_MAX = 1000
const HOSTS_MAX = 100
/** An AUTH line must fit `limits.frameBytesMaxBeforeAuth`, escapes included. */
const TOKEN_BYTES_MAX = 1024
/** What fits `sockaddr_un` everywhere: macOS has 104 bytes, its final NUL included. */
const SOCKET_PATH_BYTES_MAX = 103
const MEMORY_SHARE = 0.6
/** PostgreSQL cuts names after 63 bytes in silence. */
const SCHEMA_LENGTH_MAX = 63

export const settings: { readonly [Field in keyof Config]: Setting<Config[Field]> } = {
  host: {
    name: 'HOST',
    default: '127.0.0.1',
    defaultNote: '',
    allowed: 'an IP address or a host name',
    meaning: 'address to listen on; 0.0.0.0 or :: = every interface (then set AUTH_TOKENS)',
    secret: false,
    read: readHost,
  },
  port: integer({
    name: 'PORT',
    default: 6789,
    min: 0,
    max: 65_535,
    meaning: 'TCP port of the command protocol; 0 = any free port',
  }),
  unixSocket: {
    name: 'UNIX_SOCKET',
    default: '',
    defaultNote: 'off',
    allowed: `0 (off), 1 (${DEFAULT_UNIX_SOCKET}), or a path with a / in it, at most ${SOCKET_PATH_BYTES_MAX} bytes`,
    meaning: 'Unix socket to listen on, besides TCP',
    secret: false,
    read: readUnixSocket,
  },
  http: onOff({ name: 'HTTP', meaning: 'the HTTP API with its dashboard, on HTTP_PORT' }),
  httpPort: integer({
    name: 'HTTP_PORT',
    default: 6790,
    min: 0,
    max: 65_535,
    meaning: 'port of the HTTP API; 0 = any free port',
  }),
  allowedHosts: {
    name: 'ALLOWED_HOSTS',
    default: '',
    defaultNote:
      'none: names of the loopback, HOST and addresses in digits; with AUTH_TOKENS any name',
    allowed: `host names without ports, separated by commas, at most ${HOSTS_MAX}`,
    meaning: 'names besides those by which HTTP clients may call this server',
    secret: false,
    read: (text) => readList(text, HOSTS_MAX, (name) => /^[a-z0-9._-]{1,253}$/.test(name)),
  },
  corsOrigins: {
    name: 'CORS_ORIGINS',
    default: '',
    defaultNote: 'none: pages of other origins may not use the HTTP API',
    allowed: `origins like https://example.org or http://localhost:3000, separated by commas, at most ${HOSTS_MAX}`,
    meaning: 'origins whose pages may use the HTTP API',
    secret: false,
    read: (text) => readList(text, HOSTS_MAX, isOrigin),
  },
  grpc: onOff({ name: 'GRPC', meaning: 'gRPC, on GRPC_PORT' }),
  grpcPort: integer({
    name: 'GRPC_PORT',
    default: 6791,
    min: 0,
    max: 65_535,
    meaning: 'port of gRPC; 0 = any free port',
  }),
  grpcReflection: onOff({
    name: 'GRPC_REFLECTION',
    meaning: 'gRPC server reflection: tools such as grpcurl may ask which calls there are',
  }),
  workers: integer({
    name: 'WORKERS',
    default: '',
    defaultNote: `one per processor, at most ${WORKERS_MAX}`,
    atDefault: (machine) => Math.min(WORKERS_MAX, Math.max(1, machine.parallelism)),
    min: 1,
    max: WORKERS_MAX,
    meaning: `worker processes; they share the ${limits.shards} shards and the connections`,
  }),
  authTokens: {
    name: 'AUTH_TOKENS',
    default: '',
    defaultNote: 'none: everybody may use the server',
    allowed: `tokens separated by commas, each at most ${TOKEN_BYTES_MAX} bytes without control characters, at least one, at most ${TOKENS_MAX}`,
    meaning: 'tokens that AUTH accepts; spaces around a token and empty ones are dropped',
    secret: true,
    read: readTokens,
  },
  authFile: file({
    name: 'AUTH_FILE',
    meaning: 'JSON file of tokens with scopes, queues and an end; read again when it changes',
  }),
  authTimeoutMs: integer({
    name: 'AUTH_TIMEOUT_MS',
    default: limits.authTimeoutMs,
    min: 100,
    max: 600_000,
    meaning: 'how long a connection may take to authenticate, in ms; then it is closed',
  }),
  strangersMax: integer({
    name: 'UNAUTHENTICATED_MAX',
    default: limits.strangersPerAddressMax,
    min: 1,
    max: 1_000_000,
    meaning: 'connections of one address to one worker that have not authenticated yet',
  }),
  tlsCert: file({
    name: 'TLS_CERT',
    meaning: 'certificate chain in PEM: every port is encrypted; read again when it changes',
  }),
  tlsKey: file({ name: 'TLS_KEY', meaning: 'private key of TLS_CERT in PEM, without passphrase' }),
  tlsCa: file({
    name: 'TLS_CA',
    meaning: 'certificates in PEM of those who issue client certificates: every client needs one',
  }),
  logLevel: {
    name: 'LOG_LEVEL',
    default: 'info',
    defaultNote: '',
    allowed: logLevels.join(', '),
    meaning: 'least severity that is logged, to stdout: JSON lines, readable ones on a terminal',
    secret: false,
    read: (text) => logLevels.find((level) => level === text.toLowerCase()),
  },
  frameBytesMax: integer({
    name: 'FRAME_BYTES_MAX',
    default: limits.frameBytesMax,
    min: 2 * MIB,
    max: 256 * MIB,
    meaning: 'longest line a client may send, in bytes',
  }),
  connectionsMax: integer({
    name: 'CONNECTIONS_MAX',
    default: limits.connectionsPerWorkerMax,
    min: 1,
    max: 1_000_000,
    meaning: 'client connections of one worker, at each of its doors; more are closed at once',
  }),
  memoryBytesMax: integer({
    name: 'MEMORY_MAX_MB',
    default: 0,
    defaultNote: '60 % of the memory of the machine or its cgroup',
    atDefault: (machine) => Math.floor(machine.memoryBytes * MEMORY_SHARE),
    min: 0,
    max: 16 * MIB,
    unit: MIB,
    meaning: 'memory of the whole node, in MiB, above which pushes are refused',
  }),
  retentionCount: integer({
    name: 'RETENTION_COUNT',
    default: 10_000,
    min: 0,
    max: 10_000_000,
    meaning: 'finished jobs that each shard keeps readable',
  }),
  retentionMs: integer({
    name: 'RETENTION_MS',
    default: DAY_MS / 24,
    min: 0,
    max: 365 * DAY_MS,
    meaning: 'how long a finished job stays readable, in ms',
  }),
  retentionBytes: integer({
    name: 'RETENTION_MB',
    default: 32,
    min: 0,
    max: 16 * 1024,
    unit: MIB,
    meaning: 'data and results of finished jobs that each shard keeps, in MiB',
  }),
  drainTimeoutMs: integer({
    name: 'DRAIN_TIMEOUT_MS',
    default: 25_000,
    min: 0,
    max: 600_000,
    meaning: 'longest clean stop, in ms; what is not done then is cut off',
  }),
  databaseUrl: {
    name: 'DATABASE_URL',
    default: '',
    defaultNote: 'none: jobs are in memory and gone with it',
    allowed: `a URL that begins with postgres:// or postgresql://, or ${EMBEDDED}`,
    meaning: `PostgreSQL that keeps the jobs; ${EMBEDDED} = a private one that starts and ends with the server`,
    secret: true,
    read: readDatabaseUrl,
  },
  databaseSchema: {
    name: 'DATABASE_SCHEMA',
    default: 'flashq',
    defaultNote: '',
    allowed: `a letter or _, then letters, digits and _, lower case, at most ${SCHEMA_LENGTH_MAX}; not pg_…`,
    meaning: 'schema that holds everything the server stores; one installation per schema',
    secret: false,
    read: readSchema,
  },
  durability: {
    name: 'DURABILITY',
    default: 'sync',
    defaultNote: '',
    allowed: durabilities.join(', '),
    meaning:
      'with DATABASE_URL, what a reply waits for: sync = the job is on disk; async = nothing, and a crash may lose what was accepted last',
    secret: false,
    read: (text) => durabilities.find((mode) => mode === text.toLowerCase()),
  },
  databaseStartTimeoutMs: integer({
    name: 'DATABASE_START_TIMEOUT_MS',
    default: 30_000,
    min: 0,
    max: 3_600_000,
    meaning: 'how long a start tries to reach PostgreSQL before it gives up, in ms',
  }),
  databaseConnections: integer({
    name: 'DATABASE_CONNECTIONS',
    default: 4,
    min: 1,
    max: limits.shards,
    meaning: 'connections to PostgreSQL that one worker appends over; it has a few others besides',
  }),
  dataDir: {
    name: 'DATA_DIR',
    default: './data',
    defaultNote: '',
    allowed: 'a path',
    meaning: `folder of the private PostgreSQL (DATABASE_URL=${EMBEDDED}); made when it is not there`,
    secret: false,
    read: readPath,
  },
  checkpointBytes: integer({
    name: 'CHECKPOINT_MB',
    default: 64,
    min: 1,
    max: 16 * 1024,
    unit: MIB,
    meaning: 'journal of a shard, in MiB, that is behind a checkpoint before the next one is made',
  }),
  journalBacklogBytes: integer({
    name: 'JOURNAL_BACKLOG_MB',
    default: 64,
    min: 1,
    max: 16 * 1024,
    unit: MIB,
    meaning:
      'what one worker holds, in MiB, that is not stored yet; above it clients are made to wait',
  }),
  historyDays: integer({
    name: 'HISTORY_DAYS',
    default: 7,
    min: 0,
    max: 3650,
    meaning: 'days that finished jobs stay in the table history; 0 = none are written',
  }),
  ...observationSettings,
  ...webhookSettings,
}

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly errors: readonly string[] }

export type Environment = Readonly<Record<string, string | undefined>>

export function readConfig(env: Environment, machine: Machine = thisMachine()): ConfigResult {
  const errors: string[] = []
  const values: Record<string, unknown> = {}
  for (const [field, setting] of Object.entries(settings) as [string, Setting<unknown>][]) {
    const given = (env[setting.name] ?? '').trim()
    const value = setting.read(given === '' ? setting.default : given, machine)
    if (value === undefined) errors.push(complaint(setting, given))
    values[field] = value
  }
  if (errors.length === 0) errors.push(...contradictions(values as unknown as Config))
  // The table's type has a row of the right type for every field, so the values make a Config.
  return errors.length > 0
    ? { ok: false, errors }
    : { ok: true, config: Object.freeze(values) as unknown as Config }
}

/** What each setting alone does not show to be wrong. */
function contradictions({ tlsCert, tlsKey, tlsCa }: Config): string[] {
  const errors: string[] = []
  if ((tlsCert === null) !== (tlsKey === null)) {
    const [missing, given] = tlsCert === null ? ['TLS_CERT', 'TLS_KEY'] : ['TLS_KEY', 'TLS_CERT']
    errors.push(`${missing} is not set, and ${given} is of no use without it`)
  }
  if (tlsCa !== null && tlsCert === null) {
    errors.push('TLS_CERT is not set, and TLS_CA is of no use without it')
  }
  return errors
}

function thisMachine(): Machine {
  // 0, undefined or a number beyond any machine, depending on Node and system, when nothing constrains it.
  const constrained = process.constrainedMemory() || Number.POSITIVE_INFINITY
  return {
    parallelism: availableParallelism(),
    memoryBytes: Math.min(totalmem(), constrained),
  }
}

function complaint(setting: Setting<unknown>, given: string): string {
  const value = setting.secret ? 'has a value (not shown)' : `is ${quoted(given)}, a value`
  return `${setting.name} ${value} that is not allowed. Allowed: ${setting.allowed}`
}

/** Quoted, bounded, and without anything that a terminal would obey. */
function quoted(text: string): string {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text
  return JSON.stringify(shown).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function readHost(text: string): string | undefined {
  return /^[A-Za-z0-9.:%_-]{1,253}$/.test(text) ? text : undefined
}

function readUnixSocket(text: string): string | null | undefined {
  if (text === '' || text === '0') return null
  if (text === '1') return DEFAULT_UNIX_SOCKET
  if (!text.includes('/') || text.endsWith('/')) return undefined
  return Buffer.byteLength(text) <= SOCKET_PATH_BYTES_MAX ? text : undefined
}

/** Whether it can be reached is another question; this is about a text that cannot be meant so. */
function readDatabaseUrl(text: string): string | null | undefined {
  if (text === '') return null
  if (text === EMBEDDED) return EMBEDDED
  if (!/^postgres(?:ql)?:\/\//.test(text) || /[\s\p{Cc}]/u.test(text)) return undefined
  // A socket may be given as `postgresql://user@/database?host=/folder`: a host that is empty, which URL refuses.
  return URL.canParse(text.replace('@/', '@socket/')) ? text : undefined
}

/** Of characters that need no quotes: it becomes a part of statements. */
function readSchema(text: string): string | undefined {
  const isName = /^[a-z_][a-z0-9_]*$/.test(text) && !text.startsWith('pg_')
  return isName && text.length <= SCHEMA_LENGTH_MAX ? text : undefined
}

/** In lower case, blanks around the items and empty ones dropped. */
function readList(
  text: string,
  max: number,
  isItem: (item: string) => boolean,
): readonly string[] | undefined {
  if (text === '') return Object.freeze([])
  const given = text.toLowerCase().split(',')
  const items = [...new Set(given.map((item) => item.trim()))].filter(Boolean)
  if (items.length === 0 || items.length > max) return undefined
  return items.every(isItem) ? Object.freeze(items) : undefined
}

/** As a browser writes it. */
function isOrigin(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text
}

function readTokens(text: string): readonly string[] | undefined {
  if (text === '') return Object.freeze([])
  const tokens = [...new Set(text.split(',').map((token) => token.trim()))].filter(Boolean)
  // A list of nothing but commas would leave the server open although somebody meant to close it.
  if (tokens.length === 0 || tokens.length > TOKENS_MAX) return undefined
  return tokens.every(isToken) ? Object.freeze(tokens) : undefined
}

function isToken(token: string): boolean {
  return Buffer.byteLength(token) <= TOKEN_BYTES_MAX && !/\p{Cc}/u.test(token)
}
