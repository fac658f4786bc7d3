// The world of a command: streams that remember, and a signal in the test's hands.

import { PassThrough } from 'node:stream'
import { runCli } from '../../../../sdk/typescript/src/cli/app.ts'
import type { Io } from '../../../../sdk/typescript/src/cli/io.ts'

export interface CliEnd {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface WorldOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Of a terminal; absent: none. */
  readonly columns?: number
  readonly rows?: number
}

class FakeTerminal extends PassThrough {
  readonly isTTY = true
  readonly columns: number
  readonly rows: number
  raw = false

  constructor(columns: number, rows: number) {
    super()
    this.columns = columns
    this.rows = rows
  }

  setRawMode(on: boolean): void {
    this.raw = on
  }
}

export class CliWorld {
  readonly io: Io
  readonly abort = new AbortController()
  readonly stdin: PassThrough
  out = ''
  err = ''

  constructor({ env = {}, input, columns, rows = 24 }: WorldOptions = {}) {
    const stream = (): PassThrough =>
      columns === undefined ? new PassThrough() : new FakeTerminal(columns, rows)
    this.stdin = stream()
    const stdout = stream()
    const stderr = stream()
    stdout.on('data', (text) => {
      this.out += text
    })
    stderr.on('data', (text) => {
      this.err += text
    })
    if (input !== undefined) this.stdin.end(input)
    this.io = { env, stdin: this.stdin, stdout, stderr, signal: this.abort.signal }
  }

  get isRaw(): boolean {
    return this.stdin instanceof FakeTerminal && this.stdin.raw
  }

  async run(...args: string[]): Promise<CliEnd> {
    const code = await runCli(args, this.io)
    // What was written is read in a later turn.
    await new Promise((resolve) => setImmediate(resolve))
    return { code, out: this.out, err: this.err }
  }
}
