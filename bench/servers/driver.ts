// A driver process as the orchestrator sees it: see `load/line-server.ts` for the lines it speaks.

import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { LoadResult, LoadSpec } from '../load/spec.ts'
import { Child } from './child.ts'

interface Answer {
  result?: unknown
  error?: string
}

export class Driver<Spec, Result> {
  private readonly child: Child
  private waiting: { resolve: (result: Result) => void; reject: (cause: Error) => void } | undefined

  constructor(name: string, command: string, args: readonly string[]) {
    this.child = new Child(name, command, args)
    const { stdout } = this.child.process
    if (stdout === null) throw new Error(`${name} has no standard output`)
    createInterface({ input: stdout }).on('line', (line) => this.answered(line))
    this.child.process.on('exit', () => this.waiting?.reject(new Error(this.child.lastWords())))
  }

  run(spec: Spec): Promise<Result> {
    if (this.waiting !== undefined) throw new Error('a driver runs one spec at a time')
    if (this.child.ended) throw new Error(this.child.lastWords())
    return new Promise<Result>((resolve, reject) => {
      this.waiting = { resolve, reject }
      this.child.process.stdin?.write(`${JSON.stringify({ run: spec })}\n`)
    })
  }

  /** Starts a spec that goes on until `stop()` of what this returns, which gives its result. */
  begin(spec: Spec): { stop: () => Promise<Result> } {
    const result = this.run(spec)
    result.catch(() => {})
    return {
      stop: () => {
        this.child.process.stdin?.write('{"stop":true}\n')
        return result
      },
    }
  }

  async end(): Promise<void> {
    await this.child.stop()
  }

  private answered(line: string): void {
    if (!line.startsWith('{"result"') && !line.startsWith('{"error"')) return
    const answer = JSON.parse(line) as Answer
    const waiting = this.waiting
    this.waiting = undefined
    if (answer.error === undefined) waiting?.resolve(answer.result as Result)
    else waiting?.reject(new Error(answer.error))
  }
}

export type LoadDriver = Driver<LoadSpec, LoadResult>

export function startLoadDriver(name: string): LoadDriver {
  return new Driver(name, process.execPath, [
    fileURLToPath(new URL('../load/main.js', import.meta.url)),
  ])
}
