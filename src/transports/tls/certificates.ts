// TLS_CERT, TLS_KEY and TLS_CA: what the doors show their clients, and what they want to see of them.
//
// 1. What is replaced holds for handshakes from then on; connections that are open go on as they are.
// 2. Files that do not fit together (one is replaced before the other) are told of and change nothing.
// 3. A worker that starts while they are wrong begins without any, and no handshake succeeds until they are right.
//
// Next: tcp/secure-server.ts, and the doors of HTTP and gRPC, each of which follows `onChange`

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Log } from '../log.ts'
import { WatchedFiles } from '../watched-files.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** A certificate that ends sooner is worth a warning. */
const WARN_DAYS = 14

export interface CertificatePaths {
  readonly cert: string
  readonly key: string
  /** Null: clients need no certificate. */
  readonly ca: string | null
}

/** Those of `tls.createServer`, `https.createServer` and `http2.createSecureServer`. */
export interface CertificateOptions extends SecureContextOptions {
  readonly requestCert: boolean
  readonly rejectUnauthorized: boolean
}

export class Certificates {
  private readonly paths: CertificatePaths
  private readonly log: Log
  private readonly files: WatchedFiles
  private readonly listeners = new Set<(options: CertificateOptions) => void>()
  private options: CertificateOptions

  constructor(paths: CertificatePaths, log: Log) {
    this.paths = paths
    this.log = log
    this.options = optionsOf(paths.ca !== null, {})
    this.files = new WatchedFiles(pathsOf(paths), () => this.readAgain())
    this.readNew()
  }

  current(): CertificateOptions {
    return this.options
  }

  /** Returns how to stop it. */
  onChange(listener: (options: CertificateOptions) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  start(): void {
    this.files.start()
  }

  stop(): void {
    this.files.stop()
  }

  /** For whoever does not want to wait for the next look. */
  look(): Promise<void> {
    return this.files.look()
  }

  private readAgain(): void {
    if (!this.readNew()) return
    this.log.info({ cert: this.paths.cert }, 'the TLS certificate was read again')
    for (const listener of [...this.listeners]) listener(this.options)
  }

  /** False: it is as before, or wrong. */
  private readNew(): boolean {
    try {
      const options = readCertificates(this.paths)
      if (isSame(options, this.options)) return false
      this.options = options
      return true
    } catch (error) {
      const { message } = error as Error
      this.log.error({ error: message }, 'the TLS files are wrong: what was read before stays')
      return false
    }
  }
}

/** Throws what is wrong, for people. */
export function readCertificates(paths: CertificatePaths): CertificateOptions {
  const cert = readFile('TLS_CERT', paths.cert)
  const key = readFile('TLS_KEY', paths.key)
  const ca = paths.ca === null ? null : readFile('TLS_CA', paths.ca)
  check(`TLS_CERT ${paths.cert} is no certificate in PEM`, () => new X509Certificate(cert))
  check(`TLS_KEY ${paths.key} is no private key in PEM, or one with a passphrase`, () =>
    createSecureContext({ key }),
  )
  check(`TLS_KEY ${paths.key} is not the key of TLS_CERT ${paths.cert}`, () =>
    createSecureContext({ cert, key }),
  )
  if (ca === null) return optionsOf(false, { cert, key })
  check(`TLS_CA ${paths.ca} is no certificate in PEM`, () => new X509Certificate(ca))
  return optionsOf(true, { cert, key, ca })
}

/** Of files that `readCertificates` has read. */
export function certificateWarnings(paths: CertificatePaths, nowMs: number): string[] {
  const { validTo } = new X509Certificate(readFile('TLS_CERT', paths.cert))
  const daysLeft = (Date.parse(validTo) - nowMs) / DAY_MS
  if (daysLeft > WARN_DAYS) return []
  return [`TLS_CERT ${paths.cert} ${daysLeft < 0 ? 'has ended' : 'ends'} on ${validTo}`]
}

function optionsOf(wantsClients: boolean, files: SecureContextOptions): CertificateOptions {
  return {
    ...files,
    minVersion: 'TLSv1.2',
    requestCert: wantsClients,
    rejectUnauthorized: wantsClients,
  }
}

function readFile(setting: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new Error(`${setting} cannot be read: ${(error as Error).message}`)
  }
}

/** The cause is left out: it would say where in OpenSSL something is wrong, not what. */
function check(complaint: string, attempt: () => unknown): void {
  try {
    attempt()
  } catch {
    throw new Error(complaint)
  }
}

function isSame(a: SecureContextOptions, b: SecureContextOptions): boolean {
  return (['cert', 'key', 'ca'] as const).every((name) => String(a[name]) === String(b[name]))
}

function pathsOf({ cert, key, ca }: CertificatePaths): string[] {
  return ca === null ? [cert, key] : [cert, key, ca]
}
