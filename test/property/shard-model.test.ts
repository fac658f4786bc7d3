// Random histories, played to the shards and to a naive model at once: every reply, event and counter must agree.
//
// More of them: FLASHQ_MODEL_RUNS=20000 npx vitest run test/property/shard-model.test.ts
// A failure prints the seed and the shrunk history.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { EngineHarness, type JobObject, type Pending, START_MS } from '../support/engine-harness.ts'
import { crashIn, type Frame, Player, QUEUES, type Step, steps } from '../support/shard-history.ts'
import { ShardModel } from '../support/shard-model.ts'
import { type Expected, type ModelWait, OK, type PushFields } from '../support/shard-rules.ts'

const RUNS = Number(process.env['FLASHQ_MODEL_RUNS'] ?? 200)
const LENGTH = Number(process.env['FLASHQ_MODEL_LENGTH'] ?? 120)
const seed = process.env['FLASHQ_MODEL_SEED']

const retention = { count: 6, ageMs: 700, bytes: 150 }

class Pair {
  readonly engine: EngineHarness
  private readonly listens: boolean
  readonly model: ShardModel
  readonly player = new Player()
  private waiting: { pending: Pending; wait: ModelWait }[] = []
  private readonly delivered: { pending: Pending; ids: number[] }[] = []

  /** Without a listener, acks in batches go another way. With records, crons catch up on more. */
  constructor(listens: boolean, records: boolean) {
    this.listens = listens
    this.engine = new EngineHarness({ events: listens, records, retention })
    this.model = new ShardModel(START_MS, retention, records ? 60_000 : 0)
  }

  step(step: Step): void {
    const { engine, model } = this
    const frame = this.player.frame(step)
    const holder = 1 + (step[4] % 3)
    const isCommand = frame.cmd === frame.cmd.toUpperCase()
    // A turn holds several commands now and then; time passes only between turns.
    const turnEnds = !isCommand || step[3] % 4 !== 0
    if (!isCommand) this.endTurn()
    switch (frame.cmd) {
      case 'time':
        engine.advance(frame['ms'] as number)
        model.advance(frame['ms'] as number)
        break
      case 'jump':
        engine.jump(frame['ms'] as number)
        model.jump(frame['ms'] as number)
        break
      case 'close':
        engine.closed(holder)
        model.closed(holder)
        break
      case 'lost':
        this.lose(frame['pick'] as number)
        break
      case 'crash':
        crashIn(engine, frame)
        model.crash(frame['shard'] as number, frame['skipped'] as number, frame['gone'] as number)
        model.settle()
        model.advance(0)
        break
      case 'rename':
        for (const shard of engine.shards) {
          shard.renameHolder(frame['from'] as number, frame['to'] as number)
        }
        model.rename(frame['from'] as number, frame['to'] as number)
        break
      case 'memory':
        engine.memory.full = frame['full'] as boolean
        model.memoryFull = engine.memory.full
        break
      case 'PULL':
      case 'PULLB':
        this.pull(frame, holder)
        break
      default: {
        const { answer } = engine.execute(frame, holder)
        if (answer === null) throw new Error(`not answered: ${JSON.stringify(frame)}`)
        expect(codesOnly(answer), JSON.stringify(frame)).toEqual(this.run(frame))
        if (frame.cmd === 'PUSH' && answer.ok) this.player.ids.push(answer.id)
        if (frame.cmd === 'PUSHB' && answer.ok) this.player.ids.push(...answer.ids)
      }
    }
    if (turnEnds) this.endTurn()
    this.compareWaiting()
    this.compare(frame)
  }

  endTurn(): void {
    this.engine.settle()
    this.model.settle()
    this.compareWaiting()
  }

  /** Every job, as GETJOB shows it. */
  compareJobs(): void {
    this.endTurn()
    for (const job of this.model.jobs) {
      const { engine, model } = this
      const state = model.stateName(job.id)
      const shown = job.state === 'gone' ? null : model.view(job)
      const answer = engine.send({ cmd: 'GETJOB', id: job.id })
      expect(answer).toEqual({ ok: true, job: shown, state })
      const full = engine.send({ cmd: 'GETJOB', id: job.id, full: true })
      expect(full).toEqual({ ok: true, job: shown, state, ...model.end(job) })
      expect(engine.send({ cmd: 'GETLOGS', id: job.id })).toEqual(model.getLogs(job.id))
      const result = engine.send({ cmd: 'GETRESULT', id: job.id })
      expect(result).toEqual({ ok: true, id: job.id, result: job.result })
    }
    this.compareLists()
    for (const name of QUEUES) {
      const dead = this.model.queue(name).dead.map((job) => job.id)
      expect(this.engine.dead(name).map((job) => job.id)).toEqual(dead.slice(0, 100))
    }
  }

  /** All jobs, and those of each filter, in pages. */
  private compareLists(): void {
    const { engine, model } = this
    const [first] = model.jobs
    const filters = [
      {},
      { queue: QUEUES[1] },
      { state: 'delayed' },
      { state: 'waitingchildren' },
      { queue: QUEUES[0], state: 'failed' },
      { tag: 'ü"' },
      { text: 'text' },
      { since: (first?.createdAt ?? 0) + 300, until: model.nowMs - 100 },
      { offset: 3 },
    ]
    for (const filter of filters) {
      const listed: JobObject[] = []
      let cursor: string | null = null
      do {
        const limit = listed.length === 0 ? 2 : 7
        const answer = engine.send({ cmd: 'LISTJOBS', ...filter, limit, cursor })
        expect(answer.ok, answer.error).toBe(true)
        listed.push(...answer.jobs)
        cursor = answer.cursor
      } while (cursor !== null)
      expect(listed, JSON.stringify(filter)).toEqual(model.list(filter))
    }
  }

  private compare(frame: Frame): void {
    const { engine, model } = this
    const where = JSON.stringify(frame)
    expect(engine.nowMs).toBe(model.nowMs)
    expect(engine.stats(), where).toEqual({
      queued: model.count(null, 'waiting'),
      processing: model.count(null, 'active'),
      delayed: model.count(null, 'delayed'),
      dlq: model.count(null, 'failed'),
    })
    const seen = engine.seen.map(({ event, id }) => `${event} ${id}`).sort()
    if (this.listens)
      expect(seen, where).toEqual(model.events.map(([event, id]) => `${event} ${id}`).sort())
    engine.seen.length = 0
    model.events.length = 0
    let [pushed, completed, failed] = [0, 0, 0]
    for (const { state } of engine.shards) {
      pushed += state.totalPushed
      completed += state.totalCompleted
      failed += state.totalFailed
    }
    expect([pushed, completed, failed]).toEqual([model.pushed, model.completed, model.failed])
    for (const name of QUEUES) this.compareQueue(name)
  }

  private compareQueue(name: string): void {
    const { model } = this
    const queue = model.queue(name)
    const info = this.engine.queue(name)
    const listed = queue.used || queue.paused || queue.rate !== null || queue.concurrency !== null
    expect(info !== undefined, name).toBe(listed)
    if (info === undefined) return
    expect(info).toEqual({
      name,
      pending: model.count(name, 'waiting', 'delayed'),
      processing: model.count(name, 'active'),
      dlq: queue.dead.length,
      paused: queue.paused,
      rate_limit: queue.rate?.limit ?? null,
      concurrency_limit: queue.concurrency,
    })
  }

  private run(frame: Frame): Expected {
    const { model } = this
    const queue = frame['queue'] as string
    const id = frame['id'] as number
    const token = (frame['token'] as number | undefined) ?? null
    const ids = (frame['ids'] as number[] | undefined) ?? [id]
    const tokens =
      (frame['tokens'] as (number | null)[] | undefined) ?? (token === null ? null : [token])
    switch (frame.cmd) {
      case 'PUSH':
        return model.push(queue, frame as unknown as PushFields)
      case 'PUSHB':
        return model.pushBatch(queue, frame['jobs'] as PushFields[])
      case 'ACK':
        return model.ack(id, token, frame['result'] ?? null)
      case 'ACKB':
        return model.ackBatch(ids, tokens, (frame['results'] as unknown[] | undefined) ?? null)
      case 'FAIL':
        return model.fail(id, token, (frame['error'] as string | undefined) ?? null)
      case 'PROGRESS':
        return model.progress(
          id,
          token,
          frame['progress'] as number,
          (frame['message'] as string | undefined) ?? null,
        )
      case 'LOG':
        return model.log(id, token, frame['line'] as string)
      case 'HEARTBEAT':
        return model.heartbeat(ids, tokens, (frame['lease'] as number | undefined) ?? 0)
      case 'RELEASE':
        return model.release(ids, tokens)
      default:
        return this.runRare(frame)
    }
  }

  private runRare(frame: Frame): Expected {
    const { model } = this
    const name = frame['queue'] as string
    const id = frame['id'] as number
    const limit = frame['limit'] as number
    const job = model.byId.get(id)
    switch (frame.cmd) {
      case 'CANCEL':
        return model.cancel(id)
      case 'PROMOTE':
        return model.promote(id)
      case 'GETRESULT':
        return { ok: true, id, result: job?.result ?? null }
      case 'GETPROGRESS':
        return job?.state === 'active'
          ? { ok: true, progress: { id, progress: job.progress, message: job.message } }
          : { ok: false, code: 'job_not_found' }
      case 'RETRYDLQ':
        return model.retryDead(name, id ?? null)
      case 'PURGEDLQ':
        return model.purgeDead(name, id ?? null)
      case 'DRAIN':
        return model.drain(name)
      case 'DELETEQUEUE':
        return model.deleteQueue(name, frame['force'] === true)
      case 'PAUSE':
      case 'RESUME':
        model.queue(name).paused = frame.cmd === 'PAUSE'
        return OK
      case 'RATELIMIT':
      case 'RATELIMITCLEAR':
        model.limitRate(name, frame.cmd === 'RATELIMIT' ? limit : null)
        return OK
      case 'SETCONCURRENCY':
      case 'CLEARCONCURRENCY':
        model.queue(name).concurrency = frame.cmd === 'SETCONCURRENCY' ? limit : null
        return OK
      case 'CRON': {
        const { schedule, data, priority } = frame
        return model.setCron(
          frame['name'] as string,
          name,
          schedule as string,
          data,
          priority as number,
        )
      }
      case 'CRONDELETE':
        return model.deleteCron(frame['name'] as string)
    }
    throw new Error(`no model of ${frame.cmd}`)
  }

  private pull(frame: Frame, holder: number): void {
    const { engine, model } = this
    const waitMs = (frame['wait'] as number | undefined) ?? Number.POSITIVE_INFINITY
    const many = frame.cmd === 'PULLB'
    const wait: ModelWait = {
      max: many ? (frame['count'] as number) : 1,
      many,
      lease: (frame['lease'] as number | undefined) ?? 0,
      token: frame['token'] === true || ((frame['lease'] as number | undefined) ?? 0) > 0,
      holder,
      releaseOnClose: frame['release_on_close'] === true,
      until: model.nowMs + waitMs,
      got: null,
      forgotten: false,
    }
    const pending = engine.execute(frame, holder)
    wait.got = model.pull(frame['queue'] as string, wait)
    this.waiting.push({ pending, wait })
  }

  /** Pulls that were answered, and those that were not. */
  private compareWaiting(): void {
    this.waiting = this.waiting.filter(({ pending, wait }) => {
      const { answer } = pending
      if (wait.got === null) {
        expect(answer).toBe(null)
        return !wait.forgotten
      }
      if (answer === null) throw new Error(`a pull should have got ${JSON.stringify(wait.got)}`)
      const jobs = wait.many ? answer.jobs : answer.job === null ? [] : [answer.job]
      this.learnTokens(pending, jobs, wait)
      expect(jobs.map(({ token: _, ...job }) => job)).toEqual(wait.got)
      return false
    })
  }

  private learnTokens(pending: Pending, jobs: JobObject[], wait: ModelWait): void {
    const { handed } = pending
    expect(handed === null).toBe(jobs.length === 0)
    if (handed === null) return
    const ids = jobs.map((job) => job.id)
    expect([...handed.seqs].map((seq) => seq * 32 + handed.shard)).toEqual(ids)
    for (const [i, shown] of jobs.entries()) {
      const token = handed.firstToken + i
      expect(shown.token).toBe(wait.token ? token : undefined)
      const job = this.model.byId.get(shown.id)
      if (job === undefined) throw new Error(`no job ${shown.id}`)
      expect(token).not.toBe(job.token)
      // Within a step it may have been delivered more than once.
      job.token = Math.max(job.token, token)
      this.player.tokens.set(job.id, job.token)
    }
    this.delivered.push({ pending, ids })
  }

  private lose(pick: number): void {
    const { engine, model } = this
    const late = this.delivered.slice(-5)
    const chosen = late[pick % Math.max(1, late.length)]
    if (chosen === undefined) return
    engine.lost(chosen.pending)
    const first = chosen.pending.handed?.firstToken ?? 0
    model.lost(new Map(chosen.ids.map((id, i) => [id, first + i])))
  }
}

function codesOnly(answer: object): Expected {
  const { error, errors, ...rest } = answer as { error?: string; errors?: { error: string }[] }
  if (error !== undefined) expect(error.length).toBeGreaterThan(0)
  if (errors === undefined) return rest
  return { ...rest, errors: errors.map(({ error: _, ...each }) => each) }
}

it('the shards do what the model does, whatever is sent and however time passes', () => {
  fc.assert(
    fc.property(steps(LENGTH), fc.boolean(), fc.boolean(), (history, listens, records) => {
      const pair = new Pair(listens, records)
      for (const [i, step] of history.entries()) {
        pair.step(step)
        if (i % 16 === 15) pair.compareJobs()
      }
      pair.compareJobs()
    }),
    {
      numRuns: RUNS,
      endOnFailure: RUNS > 1000,
      ...(seed === undefined ? {} : { seed: Number(seed) }),
    },
  )
}, 36_000_000)
