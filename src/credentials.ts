// The secrets that a server goes by, from its settings: who may use it, and what it shows of itself.
//
// The primary looks at the files before it starts a worker, so that a mistake is told once and clearly; each worker
// reads them itself, and follows them.

import type { Config } from './config.ts'
import type { Clock } from './engine/ports.ts'
import type { Logger } from './logger.ts'
import { Authenticator } from './transports/auth/authenticator.ts'
import { TokenSource, tokenFileWarnings, whyNotTokens } from './transports/auth/token-source.ts'
import {
  type CertificatePaths,
  Certificates,
  certificateWarnings,
  readCertificates,
} from './transports/tls/certificates.ts'

/** How late a token may be found to be over. */
const EXPIRE_EVERY_MS = 500

export interface Credentials {
  readonly auth: Authenticator
  /** Null: nothing is encrypted. */
  readonly certificates: Certificates | null
  stop(): void
}

export function readCredentials(config: Config, clock: Clock, log: Logger): Credentials {
  const source = config.authFile === null ? null : new TokenSource(config.authFile, log)
  const issued = source === null ? {} : { issued: source.read() }
  const auth = new Authenticator(config.authTokens, clock, { ...issued, log })
  source?.follow(auth)
  const timer = setInterval(() => auth.expire(), EXPIRE_EVERY_MS)
  timer.unref()
  const paths = certificatePaths(config)
  const certificates = paths && new Certificates(paths, log)
  certificates?.start()
  return {
    auth,
    certificates,
    stop() {
      clearInterval(timer)
      source?.stop()
      certificates?.stop()
    },
  }
}

/** Why the server can't start with these files; empty: it can. */
export function whyNotCredentials(config: Config): readonly string[] {
  const problems = config.authFile === null ? [] : [...whyNotTokens(config.authFile)]
  const paths = certificatePaths(config)
  if (paths === null) return problems
  try {
    readCertificates(paths)
  } catch (error) {
    problems.push((error as Error).message)
  }
  return problems
}

/** What works but is likely not meant; of files that there is nothing against. */
export function credentialWarnings(config: Config, nowMs: number): string[] {
  const { authFile } = config
  const paths = certificatePaths(config)
  return [
    ...(authFile === null ? [] : tokenFileWarnings(authFile)),
    ...(paths === null ? [] : certificateWarnings(paths, nowMs)),
  ]
}

function certificatePaths({ tlsCert, tlsKey, tlsCa }: Config): CertificatePaths | null {
  return tlsCert === null || tlsKey === null ? null : { cert: tlsCert, key: tlsKey, ca: tlsCa }
}
