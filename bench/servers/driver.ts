// A driver process as the orchestrator sees it: see `load/line-server.ts` for the lines it speaks.

import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { LoadResult, LoadSpec } from '../load/spec.ts'
import { Child } from './child.ts'
import { type Usage, usageOf } from './usage.ts'

interface Answer {
  result?: unknown
  error?: string
}

interface Waiting<Result> {
  resolve: (result: Result) => void
  reject: (cause: Error) => void
  timer: NodeJS.Timeout | undefined
}

/** A spec that takes this much longer than it measures hangs: a reply never came. */
const overdueMs = 60_000

export class Driver<Spec extends object, Result> {
  private readonly child: Child
  private waiting: Waiting<Result> | undefined

  constructor(name: string, command: string, args: readonly string[]) {
    this.child = new Child(name, command, args)
    const { stdout } = this.child.process
    if (stdout === null) throw new Error(`${name} has no standard output`)
    createInterface({ input: stdout }).on('line', (line) => this.answered(line))
    this.child.process.on('exit', () => this.settle()?.reject(new Error(this.child.lastWords())))
  }

  usage(): Usage | undefined {
    return usageOf(this.child.pid)
  }

  /** `expectedMs`: of a spec that does not say how long it measures. */
  run(spec: Spec, expectedMs = 0): Promise<Result> {
    const limitMs = overdueMs + expectedMs + ('measureMs' in spec ? Number(spec.measureMs) : 0)
    const timer = setTimeout(() => {
      this.settle()?.reject(
        new Error(`not done within ${limitMs / 1000} s: ${JSON.stringify(spec)}`),
      )
      this.child.kill()
    }, limitMs)
    return this.send(spec, timer)
  }

  /** Starts a spec that goes on until `stop()` of what this returns, which gives its result. */
  begin(spec: Spec): { stop: () => Promise<Result> } {
    const result = this.send(spec, undefined)
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

  private send(spec: Spec, timer: NodeJS.Timeout | undefined): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      if (this.waiting !== undefined) throw new Error('a driver runs one spec at a time')
      this.waiting = { resolve, reject, timer }
      if (this.child.ended) this.settle()?.reject(new Error(this.child.lastWords()))
      else this.child.process.stdin?.write(`${JSON.stringify({ run: spec })}\n`)
    })
  }

  private settle(): Waiting<Result> | undefined {
    const waiting = this.waiting
    this.waiting = undefined
    clearTimeout(waiting?.timer)
    return waiting
  }

  private answered(line: string): void {
    if (!line.startsWith('{"result"') && !line.startsWith('{"error"')) return
    const answer = JSON.parse(line) as Answer
    const waiting = this.settle()
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
