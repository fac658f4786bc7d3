// The server of a run: processes that faults may kill, on one port for all its lives.

import { readdirSync, readFileSync } from 'node:fs'
import type { NetConnectOpts } from 'node:net'
import { onTestFinished } from 'vitest'
import { type Exit, isAlive, ServerProcess } from '../support/server-process.ts'
import type { Target } from './client.ts'

const START_TRIES_MAX = 10
const LOG_LINES_SHOWN = 5

export class ChaosServer implements Target {
  /** Every life, the present one last. */
  readonly lives: ServerProcess[] = []
  private readonly settings: Readonly<Record<string, string>>
  private port = 0

  constructor(settings: Readonly<Record<string, string>>) {
    this.settings = settings
  }

  get process(): ServerProcess {
    const process = this.lives.at(-1)
    if (process === undefined) throw new Error('the server was never started')
    return process
  }

  where(): NetConnectOpts {
    return { host: '127.0.0.1', port: this.port }
  }

  /** Ready to serve; stopped when the test has finished. */
  async start(): Promise<this> {
    if (this.lives.length === 0) onTestFinished(async () => void (await this.process.stop()))
    for (let tries = 1; ; tries++) {
      const process = new ServerProcess({ ...this.settings, PORT: String(this.port) })
      this.lives.push(process)
      try {
        await process.ready()
        this.port = process.port
        return this
      } catch (error) {
        process.signal('SIGKILL')
        // Workers of the life before may hold the port for a moment.
        if (tries === START_TRIES_MAX || !this.portTaken(process)) {
          throw new Error(`the server does not start: ${lastOf(process)}`, { cause: error })
        }
      }
    }
  }

  /** SIGKILL to the primary: its workers end by themselves. */
  async kill(): Promise<void> {
    this.process.signal('SIGKILL')
    await this.process.exited
  }

  terminate(): Promise<Exit> {
    return this.process.stop()
  }

  workers(): number[] {
    return childrenOf(this.process.pid).filter(isAlive)
  }

  private portTaken(process: ServerProcess): boolean {
    return process.find('cannot listen on')?.msg.includes('EADDRINUSE') ?? false
  }
}

/** What it logged before it gave up. */
function lastOf(process: ServerProcess): string {
  const lines = process.log.slice(-LOG_LINES_SHOWN).map((line) => JSON.stringify(line))
  return [...lines, process.errors].join('\n')
}

/** Process ids of the children of a process, by the system's word, not the log's. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => parentOf(child) === pid)
}

function parentOf(pid: number): number {
  try {
    // `pid (name) state ppid …`; the name may hold anything, parentheses included.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return 0
  }
}
