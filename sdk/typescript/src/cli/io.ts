// What a command has of the world around it, so that tests can be that world.

import type { Readable, Writable } from 'node:stream'

interface InputStream extends Readable {
  readonly isTTY?: boolean
  setRawMode?(on: boolean): unknown
}

export interface OutputStream extends Writable {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: InputStream
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** Ctrl-C, SIGTERM, or nobody reads the output any more. */
  readonly signal: AbortSignal
}
