// One client of a run: it asks one thing at a time, connects again when it must, and notes everything.
//
// 1. What was written and not answered is unknown; what could not be written was not asked.
// 2. A refusal means that it did not run (the protocol says so), except `outcome_unknown`.
// 3. It never asks the same push twice: who does not know, goes on.

import type { NetConnectOpts } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { LineClient } from '../support/line-client.ts'
import { type Answer, within } from '../support/wire-client.ts'
import type { History, Op, PullOp, PushOp, PushTerms, RunOp, Seen } from './history.ts'

/** Beyond every bound of the server: whoever waits longer gives up. */
const ANSWER_MS_MAX = 20_000
const RECONNECT_MS = 20

/** Where the server is now; it may be down. */
export interface Target {
  where(): NetConnectOpts
}

export interface Told {
  readonly answer: Answer
  readonly line: string
}

export interface PullTerms {
  readonly queue: string
  /** 0: PULL instead of PULLB. */
  readonly count: number
  readonly leaseMs: number
  readonly waitMs: number
  readonly releaseOnClose: boolean
}

interface Held {
  readonly id: number
  readonly queue: string
  readonly token: number
}

export class ChaosClient {
  readonly name: string
  readonly history: History
  /** Of the newest answer; '' when it was a yes. */
  lastCode = ''
  private readonly target: Target
  private lines: LineClient | null = null
  private connection = 0

  constructor(name: string, target: Target, history: History) {
    this.name = name
    this.target = target
    this.history = history
  }

  async push(terms: PushTerms): Promise<PushOp | null> {
    const [op] = await this.pushAll([terms])
    return op ?? null
  }

  /** One PUSH, or one PUSHB of jobs for one queue. */
  async pushAll(terms: readonly PushTerms[]): Promise<PushOp[]> {
    const [first] = terms
    if (first === undefined) return []
    const queue = JSON.stringify(first.queue)
    const isOne = terms.length === 1
    const frame = isOne
      ? `{"cmd":"PUSH","queue":${queue},${fieldsOf(first)}}\n`
      : `{"cmd":"PUSHB","queue":${queue},"jobs":[${terms.map((each) => `{${fieldsOf(each)}}`)}]}\n`
    let ops: PushOp[] = []
    const told = await this.ask(frame, (asked) => {
      ops = terms.map((each) => this.note<PushOp>({ f: 'push', ...asked, ...each, id: 0 }))
      return ops
    })
    if (told?.answer.ok !== true) return ops
    const { id, ids, errors } = told.answer
    const refused = new Map((errors ?? []).map(({ index, code }) => [index, code]))
    const accepted = isOne ? [id] : [...(ids ?? [])]
    for (const [index, op] of ops.entries()) {
      const code = refused.get(index)
      if (code === undefined) op.id = accepted.shift() ?? 0
      settleItem(this.history, op, code)
    }
    return ops
  }

  async pull(terms: PullTerms): Promise<readonly Seen[]> {
    const { queue, count, leaseMs, waitMs, releaseOnClose } = terms
    const options = { wait: waitMs, lease: leaseMs, release_on_close: releaseOnClose }
    const frame =
      count === 0 ? { cmd: 'PULL', queue, ...options } : { cmd: 'PULLB', queue, count, ...options }
    let op: PullOp | null = null
    const told = await this.ask(`${JSON.stringify(frame)}\n`, (asked) => {
      const what = { queue, count: Math.max(1, count), leaseMs, releaseOnClose, jobs: [] }
      op = this.note<PullOp>({ f: 'pull', ...asked, ...what })
      return [op]
    })
    if (told?.answer.ok !== true || op === null) return []
    const pulled: PullOp = op
    pulled.jobs = seenIn(told)
    this.history.settle(pulled, 'ok')
    return pulled.jobs
  }

  ack(job: Held, result: string): Promise<RunOp | null> {
    const rest = result === '' ? '' : `,"result":${result}`
    const frame = `{"cmd":"ACK","id":${job.id},"token":${job.token}${rest}}\n`
    return this.run('ack', frame, job, { result })
  }

  fail(job: Held, error: string): Promise<RunOp | null> {
    const frame = { cmd: 'FAIL', id: job.id, token: job.token, error }
    return this.run('fail', `${JSON.stringify(frame)}\n`, job)
  }

  release(job: Held): Promise<RunOp | null> {
    const frame = { cmd: 'RELEASE', id: job.id, token: job.token }
    return this.run('release', `${JSON.stringify(frame)}\n`, job)
  }

  heartbeat(job: Held, leaseMs: number): Promise<RunOp | null> {
    const frame = { cmd: 'HEARTBEAT', id: job.id, token: job.token, lease: leaseMs }
    return this.run('heartbeat', `${JSON.stringify(frame)}\n`, job, { leaseMs })
  }

  cancel(job: { readonly id: number; readonly queue: string }): Promise<RunOp | null> {
    const frame = { cmd: 'CANCEL', id: job.id }
    return this.run('cancel', `${JSON.stringify(frame)}\n`, { ...job, token: 0 })
  }

  async ackAll(jobs: readonly Held[], resultOf: (job: Held) => string): Promise<RunOp[]> {
    const results = jobs.map(resultOf)
    const ids = jobs.map(({ id }) => id)
    const tokens = jobs.map(({ token }) => token)
    const frame = `{"cmd":"ACKB","ids":[${ids}],"tokens":[${tokens}],"results":[${results}]}\n`
    let ops: RunOp[] = []
    const told = await this.ask(frame, (asked) => {
      ops = jobs.map((job, i) => this.noteRun('ack', asked, job, { result: results[i] ?? '' }))
      return ops
    })
    if (told?.answer.ok !== true) return ops
    const refused = new Map((told.answer.errors ?? []).map(({ index, code }) => [index, code]))
    for (const [index, op] of ops.entries()) settleItem(this.history, op, refused.get(index))
    return ops
  }

  /** Anything else, noted by `op` when there is something to note; null when it is not known to be done. */
  async command(frame: object, op: ((asked: Asked) => Op) | null = null): Promise<Told | null> {
    const told = await this.ask(`${JSON.stringify(frame)}\n`, (asked) =>
      op === null ? [] : [op(asked)],
    )
    if (told === null || !told.answer.ok) return null
    return told
  }

  /** Reads, all in one packet; null when one of them was not answered with a yes. */
  async readAll(frames: readonly object[]): Promise<Answer[] | null> {
    const lines = await this.connected()
    if (lines === null || frames.length === 0) return lines === null ? null : []
    try {
      lines.send(...frames)
      const told = await within(ANSWER_MS_MAX, 'answers', lines.linesOf(frames.length))
      const answers = told.map((line) => JSON.parse(line) as Answer)
      return answers.every(({ ok }) => ok) ? answers : null
    } catch {
      lines.destroy()
      this.lost()
      return null
    }
  }

  /** Leaves without a word, as a process that is killed does. */
  crash(): void {
    this.lines?.destroy()
    this.lost()
  }

  /** Sends the frame, and notes by `note` what it asks for; null when no answer came. */
  async ask(frame: string, note: (asked: Asked) => readonly Op[]): Promise<Told | null> {
    const lines = await this.connected()
    if (lines === null) return null
    const ops = note({ proc: this.name, connection: this.connection })
    try {
      lines.send(frame)
      const line = await within(ANSWER_MS_MAX, `an answer to ${frame.slice(0, 80)}`, lines.line())
      const told = { line, answer: JSON.parse(line) as Answer }
      this.settleAll(ops, told.answer)
      return told
    } catch (error) {
      lines.destroy()
      this.lost()
      const why = (error as Error).message.startsWith('not within') ? 'no_answer' : 'lost'
      for (const op of ops) this.history.settle(op, 'unknown', why)
      return null
    }
  }

  /** What is not a plain yes is known already; items of a batch are settled by whoever knows them. */
  private settleAll(ops: readonly Op[], { ok, code = '' }: Answer): void {
    const unknown = code === 'outcome_unknown'
    this.lastCode = code
    for (const op of ops) {
      this.history.settle(op, ok ? 'ok' : unknown ? 'unknown' : 'refused', ok ? '' : code)
    }
  }

  private async run(
    f: RunOp['f'],
    frame: string,
    job: Held,
    terms: Partial<RunOp> = {},
  ): Promise<RunOp | null> {
    let op: RunOp | null = null
    const told = await this.ask(frame, (asked) => {
      op = this.noteRun(f, asked, job, terms)
      return [op]
    })
    const noted: RunOp | null = op
    if (noted === null) return null
    // HEARTBEAT and RELEASE answer like a batch of one.
    const code = told?.answer.ok === true ? told.answer.errors?.[0]?.code : undefined
    if (code !== undefined) settleItem(this.history, noted, code)
    return noted
  }

  private noteRun(f: RunOp['f'], asked: Asked, job: Held, terms: Partial<RunOp>): RunOp {
    const { id, queue, token } = job
    return this.note<RunOp>({ f, ...asked, queue, id, token, leaseMs: 0, result: '', ...terms })
  }

  private note<T extends Op>(what: Omit<T, 'startMs' | 'endMs' | 'outcome' | 'code'>): T {
    return this.history.ask<T>(what)
  }

  private async connected(): Promise<LineClient | null> {
    if (this.lines !== null) return this.lines
    try {
      const lines = await LineClient.open(this.target.where())
      lines.socket.setNoDelay(true)
      this.lines = lines
      this.connection = this.history.newConnection()
      const { connection } = this
      const gone = () => this.history.connectionLost(connection)
      lines.ended.then(gone, gone)
      lines.closed.then(gone, gone)
      return lines
    } catch {
      await pause(RECONNECT_MS)
      return null
    }
  }

  private lost(): void {
    this.lines = null
    this.history.connectionLost(this.connection)
  }
}

export interface Asked {
  readonly proc: string
  readonly connection: number
}

function settleItem(history: History, op: Op, code: string | undefined): void {
  if (code === undefined) history.settle(op, 'ok')
  else if (code === 'outcome_unknown') history.settle(op, 'unknown', code)
  else history.settle(op, 'refused', code)
}

function fieldsOf(terms: PushTerms): string {
  const { data, priority, delayMs, ttlMs, timeoutMs, backoffMs, maxAttempts } = terms
  const options = { delay: delayMs, ttl: ttlMs, timeout: timeoutMs, backoff: backoffMs }
  const fields = [`"data":${data}`]
  if (priority !== 0) fields.push(`"priority":${priority}`)
  for (const [name, ms] of Object.entries(options)) if (ms > 0) fields.push(`"${name}":${ms}`)
  if (maxAttempts > 0) fields.push(`"max_attempts":${maxAttempts}`)
  if (terms.uniqueKey !== null) fields.push(`"unique_key":${JSON.stringify(terms.uniqueKey)}`)
  if (terms.dependsOn.length > 0) fields.push(`"depends_on":[${terms.dependsOn}]`)
  return fields.join(',')
}

/** The jobs of an answer, their data as they stand in the line: parsing it would change some. */
function seenIn({ answer, line }: Told): Seen[] {
  const jobs = answer.jobs ?? (answer.job ? [answer.job] : [])
  const data = [...line.matchAll(/"queue":"[^"]*","data":(.*?),"priority":/g)]
  return jobs.map((job, i) => ({
    id: job.id,
    queue: job.queue,
    data: data[i]?.[1] ?? '',
    priority: job.priority,
    attempts: job.attempts,
    token: job.token ?? 0,
    createdAtMs: job.created_at,
    runAtMs: job.run_at,
  }))
}
