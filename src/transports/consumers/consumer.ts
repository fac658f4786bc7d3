// One consumer as `/workers` shows it, and what of it crosses links. Consumers of one id are shown as one: a program
// may pull over several connections, which may be at several workers.

import { limits } from '../../engine/limits.ts'
import { checkQueueName } from '../../engine/queue-name.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'

export interface ConsumerInfo {
  readonly id: string
  readonly queues: readonly string[]
  /** Jobs that it runs at once, as it says; 0 = it has not said. */
  readonly concurrency: number
  /** Unix ms. */
  readonly last_heartbeat: number
  /** Runs that it has ended with success. */
  readonly jobs_processed: number
  /** Jobs that it was given and has not ended. */
  readonly active: number
  readonly connections: number
  readonly host: string | null
  readonly address: string | null
  readonly version: string | null
  readonly door: string
}

/** What a consumer may say of itself, in HELLO's `data` or in a heartbeat's body. */
export interface ConsumerClaims {
  readonly queues: readonly string[] | null
  readonly concurrency: number | null
  readonly host: string | null
  readonly version: string | null
  readonly processed: number | null
  readonly active: number | null
}

const NAME = /^[^\p{Cc}\p{Cs}]+$/u

export function checkConsumerName(name: string): Refusal | null {
  const isGood = NAME.test(name) && Buffer.byteLength(name) <= limits.consumerNameBytesMax
  if (isGood) return null
  return refusals.invalid(
    `a consumer's name is 1 to ${limits.consumerNameBytesMax} bytes without control characters`,
  )
}

/** Reads the claims in JSON; what is not there is null, what else is there is ignored. */
export function readClaims(value: unknown): ConsumerClaims | Refusal {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refusals.invalid('what a consumer says of itself is a JSON object')
  }
  const given = value as Readonly<Record<string, unknown>>
  const counts = ['concurrency', 'processed', 'active'] as const
  const texts = ['host', 'version'] as const
  for (const name of counts) {
    if (!isAbsent(given[name]) && !isCount(given[name]))
      return refusals.invalid(`field "${name}" must be an integer from 0 to 2^53 - 1`)
  }
  for (const name of texts) {
    if (!isAbsent(given[name]) && !isText(given[name])) {
      const max = limits.consumerNameBytesMax
      return refusals.invalid(
        `field "${name}" must be a string of 1 to ${max} bytes without control characters`,
      )
    }
  }
  const queues = readQueues(given['queues'])
  if (queues !== null && 'code' in queues) return queues
  return {
    queues,
    concurrency: (given['concurrency'] ?? null) as number | null,
    host: (given['host'] ?? null) as string | null,
    version: (given['version'] ?? null) as string | null,
    processed: (given['processed'] ?? null) as number | null,
    active: (given['active'] ?? null) as number | null,
  }
}

/** Of a heartbeat's body, which must name the queues. */
export function parseClaims(body: Buffer): ConsumerClaims | Refusal {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch {
    return refusals.invalid('what a consumer says of itself is a JSON object')
  }
  const claims = readClaims(value)
  if ('code' in claims || claims.queues !== null) return claims
  return refusals.invalid('missing field "queues"')
}

function readQueues(value: unknown): readonly string[] | null | Refusal {
  if (isAbsent(value)) return null
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string')) {
    return refusals.invalid('field "queues" must be an array of strings')
  }
  const max = limits.consumerQueuesMax
  if (value.length > max) return refusals.limitExceeded('queues of a consumer', max)
  for (const name of value as string[]) {
    const refusal = checkQueueName(name)
    if (refusal !== null) return refusal
  }
  return [...new Set(value as string[])]
}

/** Newest first to say something of itself decides; numbers are sums. Sorted by id. */
export function mergeConsumers(infos: readonly ConsumerInfo[]): ConsumerInfo[] {
  const byId = new Map<string, ConsumerInfo>()
  for (const info of infos) {
    const known = byId.get(info.id)
    byId.set(info.id, known === undefined ? info : mergeTwo(known, info))
  }
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function mergeTwo(a: ConsumerInfo, b: ConsumerInfo): ConsumerInfo {
  const [newer, older] = a.last_heartbeat >= b.last_heartbeat ? [a, b] : [b, a]
  // Heartbeats of one consumer may have come to several workers: the newest one says it all.
  const isSum = newer.connections > 0 || older.connections > 0
  return {
    id: newer.id,
    queues: [...new Set([...newer.queues, ...older.queues])].slice(0, limits.consumerQueuesMax),
    concurrency: Math.max(newer.concurrency, isSum ? older.concurrency : 0),
    last_heartbeat: newer.last_heartbeat,
    jobs_processed: newer.jobs_processed + (isSum ? older.jobs_processed : 0),
    active: newer.active + (isSum ? older.active : 0),
    connections: newer.connections + older.connections,
    host: newer.host ?? older.host,
    address: newer.address ?? older.address,
    version: newer.version ?? older.version,
    door: newer.door,
  }
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && checkConsumerName(value) === null
}
