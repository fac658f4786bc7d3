// From flags and the environment to the options of the client: where the server is, and how to be let in.

import { readFileSync } from 'node:fs'
import { describeFault } from '../errors.ts'
import type { ClientOptions, TlsOptions } from '../options.ts'
import { DEFAULT_URL, placeOfUrl, type ServerPlace } from '../server-url.ts'
import { UsageError } from './exit-code.ts'
import type { Flags } from './flag.ts'
import type { Io } from './io.ts'

const TLS_FILES = ['ca', 'cert', 'key'] as const

/** Throws a UsageError. */
export function connectOptions(flags: Flags, io: Io): ClientOptions {
  const url = flags.text('url') ?? nonEmpty(io.env['FLASHQ_URL']) ?? DEFAULT_URL
  const place = placeOf(url)
  const token = flags.text('token') ?? place.token ?? nonEmpty(io.env['FLASHQ_TOKEN'])
  const timeout = flags.duration('timeout')
  return {
    ...place,
    ...(place.tls === undefined ? {} : { tls: tlsFiles(flags, io) }),
    ...(token === undefined ? {} : { token }),
    ...(timeout === undefined ? {} : { timeout: Math.max(1, timeout) }),
  }

  function placeOf(text: string): ServerPlace {
    let found: ServerPlace
    try {
      found = placeOfUrl(text)
    } catch (error) {
      throw new UsageError(describeFault(error))
    }
    const needless = TLS_FILES.find((name) => flags.has(name))
    if (needless === undefined || found.tls === true) return found
    const rest = 'https:// takes an authority from NODE_EXTRA_CA_CERTS'
    throw new UsageError(`--${needless} is for flashqs:// URLs; ${rest}`)
  }
}

/** Of the environment only what is for TLS is read: another URL may be given for one command. */
function tlsFiles(flags: Flags, io: Io): TlsOptions {
  const given: Partial<Record<(typeof TLS_FILES)[number], string>> = {}
  for (const name of TLS_FILES) {
    const variable = `FLASHQ_${name.toUpperCase()}`
    const path = flags.text(name) ?? nonEmpty(io.env[variable])
    if (path === undefined) continue
    try {
      given[name] = readFileSync(path, 'utf8')
    } catch (error) {
      throw new UsageError(`--${name} (${variable}): ${describeFault(error)}`)
    }
  }
  if ((given.cert === undefined) !== (given.key === undefined)) {
    throw new UsageError('a certificate goes with its key: --cert and --key')
  }
  return given
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
