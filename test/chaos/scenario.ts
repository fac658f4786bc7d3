// One fault at a chosen moment: a durable server with failpoints, clients that note what they see, and the verdict.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { ARMED_FILE, failpointFile } from '../../src/failpoints.ts'
import { openTestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { queueInShard } from '../support/queue-names.ts'
import { check, type Verdict } from './checker.ts'
import { ChaosClient, type PullTerms } from './client.ts'
import { RETENTION } from './durable-run.ts'
import { dataOf, type Options } from './evidence.ts'
import { idsIn, readFinal } from './final-reads.ts'
import { History, type PushOp, type PushTerms, type RunOp, type Seen } from './history.ts'
import { ChaosServer } from './server.ts'

/** Two workers: each owns every second shard at first. */
export const SHARD = 5
export const QUEUE = queueInShard(SHARD)
const LEASE_MS = 60_000
const AGAIN_MS = 20
const WITHIN_MS = 30_000

export interface ScenarioOptions {
  readonly failpoints?: string
  readonly settings?: Readonly<Record<string, string>>
}

export class Scenario {
  readonly server: ChaosServer
  readonly history = new History()
  readonly queues = new Set<string>([QUEUE])
  private readonly folder: string
  private readonly reader: ChaosClient

  private constructor(server: ChaosServer, folder: string) {
    this.server = server
    this.folder = folder
    this.reader = this.client('reader')
  }

  /** On the tests' PostgreSQL, unless `settings` name another; everything ends with the test. */
  static async open(options: ScenarioOptions = {}): Promise<Scenario> {
    const { failpoints = '', settings = {} } = options
    const folder = mkdtempSync(join(tmpdir(), 'flashq-failpoints-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const server = new ChaosServer({
      ...RETENTION,
      WORKERS: '2',
      NODE_ENV: 'test',
      ...(settings['DATABASE_URL'] === undefined ? await database() : {}),
      FLASHQ_FAILPOINTS: failpoints,
      FLASHQ_FAILPOINTS_DIR: folder,
      ...settings,
    })
    await server.start()
    return new Scenario(server, folder)
  }

  client(name: string): ChaosClient {
    return new ChaosClient(name, this.server, this.history)
  }

  /** From now on failpoints strike. */
  arm(): void {
    writeFileSync(join(this.folder, ARMED_FILE), '')
  }

  hasStruck(point: string, shard: number | null = SHARD): boolean {
    return existsSync(join(this.folder, failpointFile(point, shard)))
  }

  /** A push whose outcome may be anything; asked again only while it was not asked at all. */
  async push(key: string, terms: Partial<PushTerms> = {}): Promise<PushOp> {
    const job = jobOf(key, terms)
    this.queues.add(job.queue)
    return surely(`push ${key}`, () => this.reader.push(job))
  }

  /** The same on a connection of its own, for several at once. */
  pushAs(key: string): Promise<PushOp> {
    const client = this.client(key)
    return surely(`push ${key}`, () => client.push(jobOf(key)))
  }

  outcomeOf(key: string): string | undefined {
    return this.history.ops.find((op) => op.f === 'push' && op.key === key)?.outcome
  }

  /** A push that is acknowledged, or refused because its unique key is taken already. */
  async pushUnique(key: string, uniqueKey: string): Promise<PushOp> {
    for (let tries = 0; ; tries++) {
      const push = await this.push(`${key}.${tries}`, { uniqueKey })
      if (push.outcome === 'ok' || push.code === 'duplicate_key') return push
      await pause(AGAIN_MS)
    }
  }

  /** A job of the queue, as soon as there is one; whatever stands in the way. */
  async pull(terms: Partial<PullTerms> = {}, client = this.reader): Promise<Seen> {
    const [job] = await surely('a job', async () => {
      const jobs = await client.pull({ ...PULL, ...terms })
      return jobs.length === 0 ? null : jobs
    })
    if (job === undefined) throw new Error('no job')
    return job
  }

  /** Asked until somebody has answered; the last answer. */
  async end(f: 'ack' | 'fail', job: Seen, client = this.reader): Promise<RunOp> {
    for (;;) {
      const run = f === 'ack' ? await client.ack(job, '1') : await client.fail(job, 'bad')
      if (run !== null && run.outcome !== 'unknown' && run.code !== 'unavailable') return run
      await pause(AGAIN_MS)
    }
  }

  async stateOf(id: number): Promise<string> {
    const frame = { cmd: 'GETSTATE', id }
    const told = await surely('a state', () => this.reader.command(frame))
    return told.answer.state ?? ''
  }

  /** Does whatever is still to be done. */
  async finish(): Promise<void> {
    try {
      await eventually('all is done', WITHIN_MS, () => this.isFinished())
    } catch (error) {
      throw new Error(`${(error as Error).message}: ${await this.left()}`)
    }
  }

  private async isFinished(): Promise<boolean> {
    for (const queue of this.queues) {
      const jobs = await this.reader.pull({ ...PULL, queue, waitMs: 0 })
      for (const job of jobs) await this.end('ack', job)
    }
    const stats = (await this.reader.command({ cmd: 'STATS' }))?.answer
    return stats !== undefined && stats.queued === 0 && stats.processing === 0
  }

  /** The jobs that are not done, and what was seen of them. */
  private async left(): Promise<string> {
    const stats = (await this.reader.command({ cmd: 'STATS' }))?.line
    const lines = [stats ?? 'no answer']
    for (const id of idsIn(this.history)) {
      const line = (await this.reader.command({ cmd: 'GETJOB', id }))?.line ?? ''
      if (line.includes('"state":"completed"')) continue
      const seen = this.history.ops.filter(
        (op) => ('id' in op && op.id === id) || ('jobs' in op && op.jobs.some((j) => j.id === id)),
      )
      lines.push(line, ...seen.map((op) => `  ${JSON.stringify(op)}`))
    }
    return lines.join('\n')
  }

  /** What the server says now, and the checker of it all. */
  async verdict(options: Partial<Options> = {}): Promise<Verdict> {
    const ids = idsIn(this.history)
    const read = () => readFinal(this.reader, ids, [...this.queues])
    this.history.final = await surely('the end is read', read)
    return check(this.history, { drained: false, ...options })
  }
}

const PULL: PullTerms = {
  queue: QUEUE,
  count: 0,
  leaseMs: LEASE_MS,
  waitMs: 100,
  releaseOnClose: false,
}

export function jobOf(key: string, terms: Partial<PushTerms> = {}): PushTerms {
  const none = { priority: 0, delayMs: 0, ttlMs: 0, timeoutMs: 0, backoffMs: 0, maxAttempts: 0 }
  const data = dataOf(key)
  return { ...none, queue: QUEUE, uniqueKey: null, dependsOn: [], key, data, ...terms }
}

async function database(): Promise<Record<string, string>> {
  const { url, schema, drop } = await openTestDatabase()
  onTestFinished(() => drop())
  return { DATABASE_URL: url, DATABASE_SCHEMA: schema }
}

async function surely<T>(what: string, attempt: () => Promise<T | null>): Promise<T> {
  let result: T | null = null
  await eventually(what, WITHIN_MS, async () => {
    result = await attempt()
    return result !== null
  })
  return result as T
}
