// The built server as processes of its own, on a free port of the loopback. Build first (`make build`).
//
// It is stopped by its process id when the test has finished, and nothing else is ever signalled.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { eventually } from './eventually.ts'
import { LineClient } from './line-client.ts'

export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const MAIN =
  process.env['FLASHQ_MAIN'] ?? fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const START_MS_MAX = 20_000
const STOP_MS_MAX = 10_000

export class ServerProcess {
  readonly log: LogLine[] = []
  /** What it wrote to stderr. */
  errors = ''
  readonly exited: Promise<Exit>
  private readonly child: ChildProcess
  private exit: Exit | null = null

  /** Starts it; `ready` follows. Settings are environment variables. `main`: a script that imports the built server. */
  constructor(settings: Readonly<Record<string, string>>, main = MAIN) {
    if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: build the server first`)
    this.child = spawn(process.execPath, [main], {
      // The caller's own settings must not leak in.
      env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: '0', WORKERS: '2', ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { stdout, stderr } = this.child
    if (stdout === null || stderr === null) throw new Error('no pipes')
    createInterface({ input: stdout }).on('line', (line) => this.log.push(JSON.parse(line)))
    stderr.on('data', (text) => {
      this.errors += text
    })
    this.exited = new Promise((resolve) => {
      // `close`: with the output read to its end.
      this.child.on('close', (code, signal) => {
        this.exit = { code, signal }
        resolve(this.exit)
      })
    })
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  get port(): number {
    return Number(this.find('ready')?.['port'])
  }

  get httpPort(): number {
    return Number(this.find('ready')?.['httpPort'])
  }

  get grpcPort(): number {
    return Number(this.find('ready')?.['grpcPort'])
  }

  async ready(): Promise<this> {
    await eventually('the server is ready', START_MS_MAX, () => {
      if (this.exit !== null) throw new Error(`exited with ${this.exit.code}: ${this.errors}`)
      return this.find('ready') !== undefined
    })
    return this
  }

  /** The newest log line whose text begins so. */
  find(text: string): LogLine | undefined {
    return this.log.findLast((line) => line.msg.startsWith(text))
  }

  async logged(text: string): Promise<LogLine> {
    await eventually(`the log says "${text}"`, STOP_MS_MAX, () => this.find(text) !== undefined)
    return this.find(text) as LogLine
  }

  /** Process ids of the workers, by their index; of those that were started last. */
  workerPids(): number[] {
    const pids: number[] = []
    for (const line of this.log) {
      if (line.msg === 'worker started') pids[Number(line['worker'])] = Number(line['workerPid'])
    }
    return pids
  }

  signal(signal: NodeJS.Signals): void {
    if (this.exit === null) this.child.kill(signal)
  }

  async stop(): Promise<Exit> {
    this.signal('SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), STOP_MS_MAX)
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }

  async client(): Promise<LineClient> {
    const client = await LineClient.open({ host: '127.0.0.1', port: this.port })
    onTestFinished(() => client.destroy())
    return client
  }

  /** One connection to each worker, in no known order: new connections are handed out in turn. */
  async clientPerWorker(): Promise<LineClient[]> {
    const clients: LineClient[] = []
    while (clients.length < this.workerPids().length) {
      const client = await this.client()
      // An answer: the connection has been handed to its worker before the next one comes.
      client.send({ cmd: 'STATS' })
      await client.line()
      clients.push(client)
    }
    return clients
  }
}

/** A server that is ready, and stopped when the test has finished. */
export function startServer(
  settings: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const server = new ServerProcess(settings)
  onTestFinished(async () => {
    await server.stop()
  })
  return server.ready()
}

/** A process that is there and not merely waiting to be noticed as dead. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = `/proc/${pid}/stat`
  return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, 'utf8'))
}
