// Every process that a bench starts. Each leads a process group of its own, so that its workers end with it.
//
// 1. Nothing outlives the bench: `stopAllChildren()` runs on normal end, error and Ctrl-C, and the last resort is `exit`.
// 2. A child that ends by itself makes every later use of it fail with its last words.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const running = new Set<Child>()
const stderrBytesKept = 4000
const termMs = 5000

export class Child {
  readonly name: string
  readonly process: ChildProcess
  readonly pid: number
  private stderr = ''
  private stopping = false

  constructor(
    name: string,
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = baseEnv(),
  ) {
    this.name = name
    this.process = spawn(command, args, { detached: true, env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.process.on('error', () => {})
    if (this.process.pid === undefined) throw new Error(`${name}: cannot start ${command}`)
    this.pid = this.process.pid
    running.add(this)
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-stderrBytesKept)
    })
    this.process.stdin?.on('error', () => {})
    this.process.on('exit', () => running.delete(this))
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null
  }

  get endedByItself(): boolean {
    return this.ended && !this.stopping
  }

  lastWords(): string {
    return `${this.name} ended (${this.process.exitCode ?? this.process.signalCode}): ${this.stderr.trim()}`
  }

  /** SIGTERM, and SIGKILL to the whole group when that does not end it in time. */
  async stop(): Promise<void> {
    this.stopping = true
    if (!this.ended) {
      const exited = once(this.process, 'exit')
      this.process.kill('SIGTERM')
      const timer = setTimeout(() => this.kill(), termMs)
      await exited
      clearTimeout(timer)
    }
    this.kill()
  }

  /** Ends whatever is left of the group at once. */
  kill(): void {
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch {
      // The group is gone.
    }
  }
}

/** What a child may see of our environment: nothing that could configure a server behind our back. */
export function baseEnv(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env
  return { PATH, HOME, TMPDIR, ...extra }
}

export async function stopAllChildren(): Promise<void> {
  await Promise.allSettled([...running].map((child) => child.stop()))
}

/** For Ctrl-C, errors nobody caught, and the end of the process. */
export function guardChildren(): void {
  process.on('exit', () => {
    for (const child of running) child.kill()
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => void stopAllChildren().finally(() => process.exit(130)))
  }
}
