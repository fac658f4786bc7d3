// A client of the plain protocol that asks and reads the answers in order, each within a deadline.

import type { NetConnectOpts } from 'node:net'
import { onTestFinished } from 'vitest'
import { LineClient } from './line-client.ts'

export interface WireJob {
  readonly id: number
  readonly queue: string
  readonly data: unknown
  readonly priority: number
  readonly created_at: number
  readonly run_at: number
  readonly started_at: number
  readonly attempts: number
  readonly progress: number
  readonly progress_msg: string | null
  readonly token?: number
}

/** Any answer: which of the fields are there depends on what was asked. */
export interface Answer {
  readonly ok: boolean
  readonly error?: string
  readonly code?: string
  readonly reqId?: string | number
  readonly id?: number
  readonly ids?: number[]
  readonly errors?: { index: number; error: string; code: string }[]
  readonly job?: WireJob | null
  readonly jobs?: WireJob[]
  readonly state?: string
  readonly result?: unknown
  readonly progress?: { id: number; progress: number; message: string | null }
  readonly queues?: Record<string, unknown>[]
  readonly crons?: Record<string, unknown>[]
  readonly webhooks?: Record<string, unknown>[]
  readonly deliveries?: Record<string, unknown>[]
  readonly metrics?: Record<string, unknown>
  readonly queued?: number
  readonly processing?: number
  readonly delayed?: number
  readonly dlq?: number
}

export type Frame = string | Readonly<Record<string, unknown>>

/** Far beyond anything that a busy machine makes of an answer; a test that reaches it has found a hang. */
const ANSWER_MS_MAX = 30_000

export class WireClient {
  readonly lines: LineClient
  private lastSent = 'nothing'

  constructor(lines: LineClient) {
    this.lines = lines
  }

  /** Destroyed when the test has finished. */
  static async open(where: NetConnectOpts): Promise<WireClient> {
    const lines = await LineClient.open(where)
    // Or a second frame would wait for the answer to the first.
    lines.socket.setNoDelay(true)
    onTestFinished(() => lines.destroy())
    return new WireClient(lines)
  }

  /** A string goes out as it is, its newline included; an object as compact JSON and a newline. */
  send(...frames: Frame[]): void {
    this.lines.send(...frames)
    const last = frames.at(-1)
    this.lastSent = (typeof last === 'string' ? last : JSON.stringify(last)).slice(0, 200)
  }

  /** The next line as it came, its newline left out. */
  line(): Promise<string> {
    return within(ANSWER_MS_MAX, `an answer to ${this.lastSent}`, this.lines.line())
  }

  linesOf(count: number): Promise<string[]> {
    const what = `${count} answers, the last to ${this.lastSent}`
    return within(ANSWER_MS_MAX, what, this.lines.linesOf(count))
  }

  async answer(): Promise<Answer> {
    return JSON.parse(await this.line()) as Answer
  }

  async answers(count: number): Promise<Answer[]> {
    return (await this.linesOf(count)).map((line) => JSON.parse(line) as Answer)
  }

  ask(frame: Frame): Promise<Answer> {
    this.send(frame)
    return this.answer()
  }

  /** Throws when it is refused. */
  async ok(frame: Frame): Promise<Answer> {
    const answer = await this.ask(frame)
    if (!answer.ok) throw new Error(`${this.lastSent} was refused: ${JSON.stringify(answer)}`)
    return answer
  }

  async push(queue: string, data: unknown, options: object = {}): Promise<number> {
    return idOf(await this.ok({ cmd: 'PUSH', queue, data, ...options }))
  }

  /** Waits for a job. */
  async pull(queue: string, options: object = {}): Promise<WireJob> {
    const { job } = await this.ok({ cmd: 'PULL', queue, ...options })
    if (job === null || job === undefined) throw new Error(`no job in ${queue}`)
    return job
  }

  /** A job if there is one right now. */
  async pullNow(queue: string, options: object = {}): Promise<WireJob | null> {
    return (await this.ok({ cmd: 'PULL', queue, wait: 0, ...options })).job ?? null
  }

  async stateOf(id: number): Promise<string | undefined> {
    return (await this.ok({ cmd: 'GETSTATE', id })).state
  }

  destroy(): void {
    this.lines.destroy()
  }
}

export function idOf(answer: Answer): number {
  if (answer.id === undefined) throw new Error(`no id in ${JSON.stringify(answer)}`)
  return answer.id
}

/** Rejects when `promise` takes longer than `ms`. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
