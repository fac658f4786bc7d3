// AUTH_FILE: which tokens there are, what each may do with which queues, and until when.
//
//   { "tokens": [ {
//       "name": "shop",                        for logs
//       "id": "Ab3dEf9h", "sha256": "9f86…",   of a token; or "token": "the token itself"
//       "scopes": ["produce", "read"],
//       "queues": ["orders", "mail.*"],        absent: every queue
//       "expires_at": "2027-01-31T00:00:00Z",  absent: never
//       "connections": 50,                     absent: limits.connectionsPerTokenMax
//       "commands_per_second": 100, "bytes_per_second": 1000000    absent: no limit
//   } ] }
//
// 1. Anything that is not understood is an error, so that no limit is lost to a slip of the pen.
// 2. An error names the entry and the field; what stands there is not shown, it may be a secret.
//
// Next: authenticator.ts

import { limits } from '../../engine/limits.ts'
import { validateJson } from '../wire/json-scanner.ts'
import type { IssuedToken } from './authenticator.ts'
import { type Quota, type Scope, scopes } from './principal.ts'
import { digestOf, TOKEN_ID, tokenIdOf } from './token.ts'

const ERRORS_SHOWN = 10
const DIGEST = /^[0-9a-f]{64}$/i
const PATTERN = /^[A-Za-z0-9_.-]*\*?$/
/** RFC 3339: without an offset nobody knows when it is. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/i
const QUOTAS = ['connections', 'commands_per_second', 'bytes_per_second'] as const
const FIELDS: ReadonlySet<string> = new Set([
  ...['name', 'id', 'sha256', 'token', 'scopes', 'queues', 'expires_at'],
  ...QUOTAS,
])

export type TokenFileResult =
  | { readonly ok: true; readonly tokens: readonly IssuedToken[] }
  | { readonly ok: false; readonly errors: readonly string[] }

export function readTokenFile(bytes: Buffer): TokenFileResult {
  if (bytes.length > limits.tokenFileBytesMax) {
    return wrong(`it has more than ${limits.tokenFileBytesMax} bytes`)
  }
  const badAt = validateJson(bytes, 0, bytes.length)
  if (badAt >= 0) return wrong(`line ${lineOf(bytes, badAt)} is not JSON`)
  const whole: unknown = JSON.parse(bytes.toString())
  if (!isObject(whole) || !Array.isArray(whole['tokens'])) {
    return wrong('it must be an object with a list "tokens"')
  }
  if (Object.keys(whole).length > 1) return wrong('it must have nothing besides "tokens"')
  const entries: readonly unknown[] = whole['tokens']
  if (entries.length > limits.issuedTokensMax) {
    return wrong(`it has more than ${limits.issuedTokensMax} tokens`)
  }
  const errors: string[] = []
  const tokens = entries.map((entry, index) => new EntryReader(entry, index, errors).read())
  noteTwins(tokens, errors)
  return errors.length === 0
    ? { ok: true, tokens }
    : { ok: false, errors: errors.slice(0, ERRORS_SHOWN) }
}

/** Reads one entry; what is wrong with it goes to `errors`, and then the result is of no use. */
class EntryReader {
  private readonly entry: Readonly<Record<string, unknown>>
  private readonly index: number
  private readonly errors: string[]

  constructor(entry: unknown, index: number, errors: string[]) {
    this.index = index
    this.errors = errors
    this.entry = isObject(entry) ? entry : {}
    if (!isObject(entry)) this.fail('must be an object')
  }

  read(): IssuedToken {
    for (const name of Object.keys(this.entry)) {
      if (FIELDS.has(name)) continue
      this.fail(
        /^[a-z_]{1,20}$/i.test(name) ? `has an unknown field "${name}"` : 'has an unknown field',
      )
    }
    const { digest, id } = this.secret()
    return {
      digest,
      id,
      principal: {
        name: this.name(),
        scopes: new Set(this.scopes()),
        queues: this.queues(),
        ...this.quota(),
      },
      expiresAtMs: this.expiresAtMs(),
    }
  }

  private name(): string {
    const { name } = this.entry
    const isName =
      typeof name === 'string' &&
      name !== '' &&
      Buffer.byteLength(name) <= limits.tokenNameBytesMax &&
      !/\p{Cc}/u.test(name)
    if (isName) return name
    this.fail(`needs a "name" of 1 to ${limits.tokenNameBytesMax} bytes without control characters`)
    return ''
  }

  private secret(): { digest: Buffer; id: string | null } {
    const { token, sha256, id = null } = this.entry
    if ((token === undefined) === (sha256 === undefined)) {
      this.fail('needs either "sha256" or "token"')
    } else if (token !== undefined) {
      if (id !== null) this.fail('needs no "id" beside "token"')
      if (isToken(token)) return { digest: digestOf(token), id: tokenIdOf(token) }
      this.fail('has a "token" that is none: 1 to 1024 bytes without control characters')
    } else if (id !== null && !(typeof id === 'string' && TOKEN_ID.test(id))) {
      this.fail('has an "id" that is none: the 8 characters behind fq_')
    } else if (typeof sha256 === 'string' && DIGEST.test(sha256)) {
      return { digest: Buffer.from(sha256, 'hex'), id }
    } else {
      this.fail('has a "sha256" that is none: 64 hexadecimal digits')
    }
    return { digest: Buffer.alloc(0), id: null }
  }

  private scopes(): Scope[] {
    const given = this.entry['scopes']
    const isList = Array.isArray(given) && given.length > 0 && given.every(isScope)
    if (isList) return given
    this.fail(`needs "scopes", a list of some of: ${scopes.join(', ')}`)
    return []
  }

  private queues(): readonly string[] | null {
    const given = this.entry['queues']
    if (given === undefined) return null
    const isList =
      Array.isArray(given) &&
      given.length > 0 &&
      given.length <= limits.queuePatternsMax &&
      given.every(isPattern)
    if (isList) return given.includes('*') ? null : given
    this.fail(
      `has "queues" that are none: a list of 1 to ${limits.queuePatternsMax} names, each may end in *; without it every queue is meant`,
    )
    return []
  }

  private quota(): { quota?: Quota } {
    if (QUOTAS.every((field) => this.entry[field] === undefined)) return {}
    const quota = {
      connections: this.count('connections') ?? limits.connectionsPerTokenMax,
      commandsPerSecond: this.count('commands_per_second') ?? Number.POSITIVE_INFINITY,
      bytesPerSecond: this.count('bytes_per_second') ?? Number.POSITIVE_INFINITY,
    }
    return { quota }
  }

  private count(field: (typeof QUOTAS)[number]): number | undefined {
    const given = this.entry[field]
    if (given === undefined) return undefined
    const max = limits.tokenQuotaMax
    if (Number.isInteger(given) && Number(given) >= 1 && Number(given) <= max) return Number(given)
    this.fail(`has a "${field}" that is none: an integer from 1 to ${max}`)
    return undefined
  }

  private expiresAtMs(): number {
    const given = this.entry['expires_at']
    if (given === undefined) return Number.POSITIVE_INFINITY
    const ms = typeof given === 'string' && MOMENT.test(given) ? Date.parse(given) : Number.NaN
    if (!Number.isNaN(ms)) return ms
    this.fail('has an "expires_at" that is none: a moment like 2027-01-31T00:00:00Z')
    return 0
  }

  private fail(what: string): void {
    this.errors.push(`tokens[${this.index}] ${what}`)
  }
}

function noteTwins(tokens: readonly IssuedToken[], errors: string[]): void {
  const indexOf = new Map<string, number>()
  tokens.forEach(({ digest }, index) => {
    if (digest.length === 0) return
    const key = digest.toString('hex')
    const first = indexOf.get(key)
    if (first === undefined) indexOf.set(key, index)
    else errors.push(`tokens[${index}] is the same token as tokens[${first}]`)
  })
}

function wrong(what: string): TokenFileResult {
  return { ok: false, errors: [what] }
}

function lineOf(bytes: Buffer, at: number): number {
  return bytes.toString('latin1', 0, at).split('\n').length
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isToken(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    Buffer.byteLength(value) <= 1024 &&
    !/\p{Cc}/u.test(value)
  )
}

function isScope(value: unknown): value is Scope {
  return scopes.some((scope) => scope === value)
}

function isPattern(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= limits.queueNameBytesMax &&
    PATTERN.test(value)
  )
}
