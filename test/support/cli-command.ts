// The built command line as a process: what it printed, and how it ended. Killed when the test has finished.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { within } from './wire-client.ts'

export const CLI_MAIN = fileURLToPath(
  new URL('../../sdk/typescript/dist/cli/main.js', import.meta.url),
)
export const COMMAND_MS_MAX = 20_000

export interface End {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface CommandWorld {
  readonly input?: string
  /** Besides PATH, TERM and FLASHQ_URL; the caller's own environment does not leak in. */
  readonly env?: Readonly<Record<string, string>>
}

export class Command {
  readonly child: ChildProcess
  readonly ended: Promise<End>
  out = ''
  err = ''

  constructor(url: string, args: readonly string[], { input = '', env = {} }: CommandWorld = {}) {
    this.child = spawn(process.execPath, [CLI_MAIN, ...args], {
      env: { PATH: process.env['PATH'], FLASHQ_URL: url, TERM: 'xterm', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    onTestFinished(() => void this.child.kill('SIGKILL'))
    this.child.stdout?.on('data', (text) => {
      this.out += text
    })
    this.child.stderr?.on('data', (text) => {
      this.err += text
    })
    this.child.stdin?.on('error', () => {})
    this.child.stdin?.end(input)
    const closed = new Promise<End>((resolve) => {
      this.child.on('close', (code) => resolve({ code, out: this.out, err: this.err }))
    })
    this.ended = within(COMMAND_MS_MAX, `flashq ${args.join(' ')} ends`, closed)
  }

  async says(text: string): Promise<void> {
    const said = new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.out.includes(text) || this.err.includes(text)) resolve()
      }
      this.child.stdout?.on('data', look)
      this.child.stderr?.on('data', look)
      look()
    })
    await within(COMMAND_MS_MAX, `it says ${text}`, said)
  }
}
