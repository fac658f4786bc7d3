import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ShardRunner } from '../../../src/cluster/shard-runner.ts'
import { Command } from '../../../src/engine/command.ts'
import { holderOf } from '../../../src/engine/holder-number.ts'
import { limits } from '../../../src/engine/limits.ts'
import type { CronTick, EventSink, ParentMail } from '../../../src/engine/ports.ts'
import { noDeliveries } from '../../../src/engine/webhook-ports.ts'
import { JsonReply } from '../../../src/transports/wire/reply-json.ts'
import { scanFrame } from '../../../src/transports/wire/scan.ts'
import { Pending, queueOfShard, START_MS } from '../../support/engine-harness.ts'

const silent: EventSink = {
  listening: false,
  wants: () => false,
  event: () => {},
  events: () => {},
}
const DAY_MS = 86_400_000

class Bench {
  readonly reserved: number[] = []
  readonly ticks: CronTick[] = []
  readonly taken: [name: string, tickMs: number][] = []
  readonly runner: ShardRunner
  private readonly command = new Command()
  private letters: (() => void)[] = []

  constructor(memoryBytesMax = 1e9) {
    const mail: ParentMail = {
      ask: (parent, child) => void this.letters.push(() => this.runner.ask(parent, child)),
      tell: (child, parent, outcome) =>
        void this.letters.push(() => this.runner.tell(child, parent, outcome)),
      cronTick: (tick) => void this.ticks.push(tick),
      cronTaken: (name, tickMs) => void this.taken.push([name, tickMs]),
      webhook: (letter) => void this.letters.push(() => this.runner.webhook(letter)),
    }
    this.runner = new ShardRunner({
      clock: { nowMs: () => Date.now() },
      mail,
      events: silent,
      webhooks: noDeliveries,
      memoryBytesMax,
      retention: { count: 100, ageMs: 1e7, bytes: 1e8 },
      reserve: (shard) => void this.reserved.push(shard),
    })
  }

  execute(frame: { cmd: string; [key: string]: unknown }, holder = 1, away = false): Pending {
    const pending = new Pending()
    const bytes = Buffer.from(`${JSON.stringify(frame)}\n`)
    const refusal = scanFrame(bytes, 0, bytes.length - 1, this.command)
    if (refusal !== null) throw new Error(refusal.text)
    const reply = new JsonReply(this.command, pending)
    if (away) this.runner.executeAway(this.command, reply, holder)
    else this.runner.execute(this.command, reply, holder)
    return pending
  }

  /** A whole turn. */
  send(frame: { cmd: string; [key: string]: unknown }, holder = 1): Pending {
    const pending = this.execute(frame, holder)
    this.turnEnds()
    return pending
  }

  turnEnds(): void {
    for (let letter = this.letters.shift(); letter !== undefined; letter = this.letters.shift()) {
      letter()
    }
    this.runner.handOver()
  }

  push(shard: number, options: object = {}): number {
    const queue = queueOfShard(shard)
    return this.send({ cmd: 'PUSH', queue, data: 1, ...options }).answer?.id ?? 0
  }

  pull(shard: number, options: object = {}, holder = 1): Pending {
    return this.send({ cmd: 'PULL', queue: queueOfShard(shard), ...options }, holder)
  }
}

describe('a shard runner', () => {
  let bench: Bench
  let runner: ShardRunner

  beforeEach(() => {
    vi.useFakeTimers({ now: START_MS })
    bench = new Bench()
    runner = bench.runner
    for (let shard = 0; shard < limits.shards; shard++) runner.own(shard, 1, 2 ** 40)
    runner.start()
  })

  afterEach(() => {
    runner.stop()
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })

  it('has no timer while nothing will fall due', () => {
    expect(vi.getTimerCount()).toBe(0)
    bench.push(1)
    bench.pull(2)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('wakes up for the first thing due in any shard, and serves what it made ready', () => {
    bench.push(1, { delay: 500 })
    bench.push(2, { delay: 200 })
    const [one, two] = [bench.pull(1), bench.pull(2)]
    vi.advanceTimersByTime(199)
    expect(two.answer).toBe(null)
    vi.advanceTimersByTime(1)
    expect([one.answer, two.answer?.job?.started_at]).toEqual([null, START_MS + 200])
    vi.advanceTimersByTime(300)
    expect(one.answer?.job?.started_at).toBe(START_MS + 500)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('keeps one timer, and moves it when something falls due sooner', () => {
    const late = bench.pull(1, { wait: 10_000 })
    const soon = bench.pull(2, { wait: 100 })
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(100)
    expect([late.answer, soon.answer?.job]).toEqual([null, null])
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(9900)
    expect(late.answer).toEqual({ ok: true, job: null })
  })

  it('waits longer than one timer can', () => {
    bench.push(1, { delay: 60 * DAY_MS })
    const waiting = bench.pull(1)
    vi.advanceTimersByTime(60 * DAY_MS - 1)
    expect(waiting.answer).toBe(null)
    vi.advanceTimersByTime(1)
    expect(waiting.answer?.job).not.toBe(null)
  })

  it('starts again after a stop, with what is due then', () => {
    bench.push(1, { delay: 100 })
    const waiting = bench.pull(1)
    runner.stop()
    vi.advanceTimersByTime(1000)
    expect(waiting.answer).toBe(null)
    runner.start()
    vi.advanceTimersByTime(1)
    expect(waiting.answer?.job).not.toBe(null)
  })

  it('hands jobs over after the replies of the turn', () => {
    const waiting = bench.pull(1)
    const push = bench.execute({ cmd: 'PUSH', queue: queueOfShard(1), data: 1 })
    expect([push.answer?.ok, waiting.answer]).toEqual([true, null])
    bench.turnEnds()
    expect(waiting.answer?.job?.id).toBe(push.answer?.id)
  })

  it('serves a waiting pull with a job whose reply could not be written', () => {
    bench.push(1)
    const { handed } = bench.pull(1)
    const waiting = bench.pull(1)
    if (handed === null) throw new Error('nothing was handed over')
    runner.giveBack(handed)
    bench.turnEnds()
    expect(waiting.answer?.job?.attempts).toBe(0)
  })

  it.each(['ACK', 'ACKB', 'FAIL', 'CANCEL', 'RELEASE'])(
    'gives a slot that %s of another worker freed on only when its reply is written',
    (cmd) => {
      bench.send({ cmd: 'SETCONCURRENCY', queue: queueOfShard(1), limit: 1 })
      const id = bench.push(1)
      bench.push(1)
      bench.pull(1)
      const waiting = bench.pull(1)
      const frame = cmd === 'ACKB' ? { cmd, ids: [id] } : { cmd, id }
      expect(bench.execute(frame, 1, true).answer?.ok).toBe(true)
      const held = runner.takeHeldSlots()
      bench.turnEnds()
      bench.push(1)
      expect(waiting.answer).toBe(null)
      expect(bench.pull(1, { wait: 0 }).answer?.job).toBe(null)
      runner.freeSlots(held ?? [])
      bench.turnEnds()
      expect(waiting.answer?.job).not.toBe(null)
      expect(runner.takeHeldSlots()).toBe(null)
    },
  )

  it('gives back what a closed session holds, in all shards, and forgets its pulls', () => {
    const ids = [1, 2, 3].map((shard) => bench.push(shard))
    for (const shard of [1, 2]) bench.pull(shard, { release_on_close: true }, 7)
    bench.pull(3, { release_on_close: true }, 8)
    const [gone, stays] = [bench.pull(1, {}, 7), bench.pull(1, {}, 8)]
    runner.holderClosed(7)
    bench.turnEnds()
    expect(gone.answer).toBe(null)
    expect(stays.answer?.job?.id).toBe(ids[0])
    expect(runner.stats()).toEqual({ queued: 1, processing: 2, delayed: 0, dlq: 0 })
  })

  it('gives back what all sessions of a lost worker hold', () => {
    for (const shard of [1, 2, 3]) bench.push(shard)
    bench.pull(1, { release_on_close: true }, holderOf({ worker: 2, incarnation: 1 }, 1))
    bench.pull(2, { release_on_close: true }, holderOf({ worker: 2, incarnation: 1 }, 9))
    bench.pull(3, { release_on_close: true }, holderOf({ worker: 3, incarnation: 1 }, 1))
    const waiting = bench.pull(4, {}, holderOf({ worker: 2, incarnation: 1 }, 1))
    runner.workerGone(2)
    bench.turnEnds()
    expect(runner.stats()).toMatchObject({ queued: 2, processing: 1 })
    bench.push(4)
    expect(waiting.answer).toBe(null)
  })

  it('refuses a command of a shard that is not its own', () => {
    runner.disown(5)
    expect([runner.owns(5), runner.owns(6)]).toEqual([false, true])
    const push = { cmd: 'PUSH', queue: queueOfShard(5), data: 1 }
    expect(bench.send(push).answer?.code).toBe('unavailable')
    expect(bench.send({ cmd: 'ACK', id: 32 + 5 }).answer?.code).toBe('unavailable')
  })

  it('runs the ids that are its own, and refuses the others one by one', () => {
    const ids = [bench.push(4), bench.push(5), bench.push(31)]
    for (const shard of [4, 5, 31]) bench.pull(shard)
    runner.disown(5)
    const answer = bench.send({ cmd: 'ACKB', ids: [...ids, 999 * 32 + 4] }).answer
    expect(answer).toMatchObject({
      ok: true,
      ids: [2],
      errors: [
        { index: 1, code: 'unavailable' },
        { index: 3, code: 'job_not_found' },
      ],
    })
    expect(bench.send({ cmd: 'HEARTBEAT', id: ids[1] }).answer).toMatchObject({
      ids: [0],
      errors: [{ index: 0, code: 'unavailable' }],
    })
  })

  it('runs all ids of a batch, whatever command came before it', () => {
    const ids = [bench.push(4), bench.push(9)]
    for (const shard of [4, 9]) bench.pull(shard)
    bench.send({ cmd: 'HEARTBEAT', id: ids[0] })
    expect(bench.send({ cmd: 'ACKB', ids }).answer).toEqual({ ok: true, ids: [2] })
  })

  it('carries questions and answers between jobs of its shards', () => {
    const parent = bench.push(4)
    const child = bench.push(9, { depends_on: [parent] })
    const state = () => bench.send({ cmd: 'GETSTATE', id: child }).answer?.state
    expect(state()).toBe('waiting-children')
    bench.pull(4)
    bench.send({ cmd: 'ACK', id: parent })
    expect(state()).toBe('waiting')
  })

  it('asks once for more sequences when an eighth is used, and again when it got them or the shard anew', () => {
    runner.own(3, 1, 17)
    bench.push(3)
    expect(bench.reserved).toEqual([])
    bench.push(3)
    bench.push(3)
    expect(bench.reserved).toEqual([3])
    runner.reserved(3, 33)
    for (let i = 0; i < 14; i++) bench.push(3)
    expect(bench.reserved).toEqual([3])
    bench.push(3)
    expect(bench.reserved).toEqual([3, 3])
    runner.disown(3)
    runner.own(3, 100, 102)
    bench.push(3)
    expect(bench.reserved).toEqual([3, 3, 3])
  })

  it('fires crons, and takes their ticks', () => {
    const [name, queue] = [queueOfShard(7), queueOfShard(8)]
    bench.send({ cmd: 'CRON', name, queue, schedule: '*/1', data: 5 })
    expect(runner.crons()).toMatchObject([{ name, queue, next_run: START_MS + 1000 }])
    vi.advanceTimersByTime(2000)
    // Not confirmed: sent again.
    expect(bench.ticks.map((tick) => tick.tickMs)).toEqual([START_MS + 1000, START_MS + 1000])
    for (const tick of bench.ticks) runner.cronTick(tick)
    expect(bench.taken).toEqual([
      [name, START_MS + 1000],
      [name, START_MS + 1000],
    ])
    for (const [ofName, tickMs] of bench.taken) runner.cronTaken(ofName, tickMs)
    expect(runner.stats().queued).toBe(1)
    expect(bench.ticks.at(-1)?.tickMs).toBe(START_MS + 2000)
    expect(runner.crons()).toMatchObject([{ next_run: START_MS + 3000 }])
    bench.send({ cmd: 'CRONDELETE', name })
  })

  it('sums up its shards', () => {
    const ids = [1, 2, 3].map((shard) => bench.push(shard, { max_attempts: 1 }))
    bench.push(1, { delay: 100 })
    for (const shard of [1, 2, 3]) bench.pull(shard)
    vi.advanceTimersByTime(50)
    bench.send({ cmd: 'ACK', id: ids[0] })
    bench.send({ cmd: 'FAIL', id: ids[1] })
    expect(runner.stats()).toEqual({ queued: 0, processing: 1, delayed: 1, dlq: 1 })
    expect(runner.jobCount()).toBe(3)
    const { queues, ...sums } = runner.metrics()
    expect(sums).toEqual({
      total_pushed: 4,
      total_completed: 1,
      total_failed: 1,
      jobs_per_second: 0,
      avg_latency_ms: 50,
      latency_count: 1,
    })
    expect(queues.map((queue) => queue.name)).toEqual([1, 2, 3].map(queueOfShard))
    vi.advanceTimersByTime(1000)
    expect(runner.metrics().jobs_per_second).toBeCloseTo(0.1)
  })

  it('says which shards hold nothing', () => {
    bench.push(1)
    expect([runner.isEmpty(1), runner.isEmpty(2)]).toEqual([false, true])
    runner.disown(2)
    expect(runner.isEmpty(2)).toBe(true)
  })

  it('goes on with a queue that is being cleared turn by turn, beside everything else', () => {
    const queue = queueOfShard(1)
    const jobs = Array.from({ length: 1000 }, () => ({ data: 0 }))
    for (let i = 0; i < 5; i++) bench.send({ cmd: 'PUSHB', queue, jobs })
    const cleared = bench.send({ cmd: 'DRAIN', queue })
    expect(cleared.answer).toBe(null)
    expect(vi.getTimerCount()).toBe(1)
    const id = bench.push(2)
    expect(bench.pull(2).answer?.job?.id).toBe(id)
    vi.advanceTimersToNextTimer()
    expect(cleared.answer).toBe(null)
    vi.advanceTimersToNextTimer()
    expect(cleared.answer).toEqual({ ok: true, ids: [5000] })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('finishes at a drain what is being cleared, and where a shard is lost says so', () => {
    const queue = queueOfShard(1)
    const jobs = Array.from({ length: 1000 }, () => ({ data: 0 }))
    for (let i = 0; i < 10; i++) bench.send({ cmd: 'PUSHB', queue, jobs })
    const lost = bench.send({ cmd: 'DRAIN', queue })
    runner.endWaitsOf(1)
    expect(lost.answer).toMatchObject({ ok: false, code: 'outcome_unknown' })
    const cleared = bench.send({ cmd: 'DRAIN', queue })
    runner.halt(1)
    runner.endWaits()
    expect(cleared.answer).toBe(null)
    runner.go(1)
    runner.endWaits()
    expect(cleared.answer).toEqual({ ok: true, ids: [10_000 - limits.clearedPerTurnMax] })
    vi.runAllTimers()
  })

  it('ends all waiting pulls at a drain', () => {
    const all = [1, 2, 3].map((shard) => bench.pull(shard, { wait: 1000 }))
    runner.endWaits()
    expect(all.map((each) => each.answer?.code)).toEqual(new Array(3).fill('draining'))
    vi.advanceTimersByTime(2000)
  })
})

describe('the memory limit', () => {
  const MIB = 2 ** 20

  it('refuses pushes when few large frames have filled it, and takes them when there is room', () => {
    const bench = new Bench(20 * MIB)
    for (let shard = 0; shard < limits.shards; shard++) bench.runner.own(shard, 1, 2 ** 40)
    const queue = queueOfShard(1)
    const jobs = Array.from({ length: 10 }, () => ({ data: 'x'.repeat(MIB - 2) }))
    const codes: string[] = []
    const pushed: number[] = []
    for (let i = 0; i < 5; i++) {
      const { answer } = bench.send({ cmd: 'PUSHB', queue, jobs })
      codes.push(answer?.code ?? 'ok')
      pushed.push(...(answer?.ids ?? []))
    }
    expect(codes).toEqual(['ok', 'ok', 'memory_full', 'memory_full', 'memory_full'])
    for (const id of pushed) bench.send({ cmd: 'CANCEL', id })
    for (let i = 0; i < 300; i++) bench.send({ cmd: 'PULL', queue, wait: 0 })
    expect(bench.send({ cmd: 'PUSHB', queue, jobs }).answer?.ok).toBe(true)
  })
})
