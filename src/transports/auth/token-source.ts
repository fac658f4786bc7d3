// AUTH_FILE while the server runs: read at start, and again whenever it changes.
//
// 1. A version that is wrong is told of and changes nothing: the tokens stay as they were.
// 2. A worker that starts while it is wrong begins without any, rather than not at all: it lets nobody in by it.
//
// Next: token-file.ts reads it, authenticator.ts has what it says

import { readFileSync, statSync } from 'node:fs'
import type { Log } from '../log.ts'
import { WatchedFiles } from '../watched-files.ts'
import type { Authenticator, IssuedToken } from './authenticator.ts'
import { readTokenFile, type TokenFileResult } from './token-file.ts'

const READABLE_BY_OTHERS = 0o004

export class TokenSource {
  private readonly path: string
  private readonly log: Log
  private readonly files: WatchedFiles
  private auth: Authenticator | null = null
  private bytes: Buffer | null = null

  constructor(path: string, log: Log) {
    this.path = path
    this.log = log
    this.files = new WatchedFiles([path], () => this.changed())
  }

  /** What the file says now, for an authenticator; then `follow` it. */
  read(): readonly IssuedToken[] {
    return this.readNew() ?? []
  }

  follow(auth: Authenticator): void {
    this.auth = auth
    this.files.start()
  }

  stop(): void {
    this.files.stop()
  }

  /** For whoever does not want to wait for the next look. */
  look(): Promise<void> {
    return this.files.look()
  }

  private changed(): void {
    const tokens = this.readNew()
    if (tokens === null) return
    this.log.info({ path: this.path, tokens: tokens.length }, 'AUTH_FILE was read again')
    this.auth?.replace(tokens)
  }

  /** Null: it can't be read, is wrong, or is what it was. */
  private readNew(): readonly IssuedToken[] | null {
    const { path } = this
    let bytes: Buffer
    try {
      bytes = readFileSync(path)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      this.bytes = null
      this.log.error({ path, code }, 'AUTH_FILE cannot be read: its tokens stay as they were')
      return null
    }
    if (this.bytes?.equals(bytes)) return null
    this.bytes = bytes
    const result = readTokenFile(bytes)
    if (result.ok) return result.tokens
    const { errors } = result
    this.log.error({ path, errors }, 'AUTH_FILE is wrong: its tokens stay as they were')
    return null
  }
}

/** Why the server can't start with this file; empty: it can. */
export function whyNotTokens(path: string): readonly string[] {
  let result: TokenFileResult
  try {
    result = readTokenFile(readFileSync(path))
  } catch (error) {
    return [`AUTH_FILE cannot be read: ${(error as Error).message}`]
  }
  return result.ok ? [] : result.errors.map((error) => `AUTH_FILE ${path}: ${error}`)
}

/** What works but is likely not meant. */
export function tokenFileWarnings(path: string): string[] {
  const isOpen = (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & READABLE_BY_OTHERS
  return isOpen ? [`AUTH_FILE ${path} can be read by every user of this machine: chmod 600`] : []
}
