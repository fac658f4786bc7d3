// Faults F01 to F11, F13 and F14 of the catalogue: processes that die at the worst moment. Each test ends with the
// verdict of the checker over everything that its clients saw.

import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Verdict } from '../chaos/checker.ts'
import type { Seen } from '../chaos/history.ts'
import { jobOf, QUEUE, Scenario, SHARD } from '../chaos/scenario.ts'
import { eventually } from '../support/eventually.ts'
import { queueInShard, queueOnWorker } from '../support/queue-names.ts'
import { isAlive, type ServerProcess, startServer } from '../support/server-process.ts'
import { clientOf } from '../support/shared-server.ts'
import type { WireClient } from '../support/wire-client.ts'

const OTHER_SHARD = SHARD + 1
const OTHER_QUEUE = queueInShard(OTHER_SHARD)
const DIE_MS_MAX = 2000
const STRIKE_MS_MAX = 20_000
/** An answer that takes longer will not come: the connection is under way. */
const SILENCE_MS = 1000
const COMMANDS_MAX = 200

async function struck(scenario: Scenario, point: string, shard: number | null = SHARD) {
  await eventually(`${point} strikes`, STRIKE_MS_MAX, () => scenario.hasStruck(point, shard))
}

function expectNone({ violations }: Verdict): void {
  expect(violations).toEqual([])
}

/** Some jobs that are acknowledged before anything goes wrong. */
async function pushThree(scenario: Scenario): Promise<void> {
  for (let i = 0; i < 3; i++) {
    expect(await scenario.push(`early-${i}`)).toMatchObject({ outcome: 'ok' })
  }
}

/** So many jobs are there, and are done; then nothing is left. */
async function finish(scenario: Scenario, count: number): Promise<Seen[]> {
  const jobs: Seen[] = []
  while (jobs.length < count) {
    const job = await scenario.pull()
    await scenario.end('ack', job)
    jobs.push(job)
  }
  await scenario.finish()
  return jobs
}

describe('a worker killed at a push', () => {
  for (const [title, point, exists] of [
    ['F01 before it was recorded: the push may be tried again', 'push.received', false],
    ['F01 before it was sent: the push may be tried again', 'flush.before', false],
    ['F02 before its commit was confirmed: there is one job or none', 'flush.sent', null],
    ['F03 after its commit: the job is there', 'flush.after', true],
  ] as const) {
    it(title, async () => {
      const shard = point === 'push.received' ? null : SHARD
      const place = shard === null ? '' : `#${SHARD}`
      const scenario = await Scenario.open({ failpoints: `${point}${place}=kill` })
      await pushThree(scenario)
      scenario.arm()
      const push = await scenario.push('victim', { uniqueKey: 'u' })
      expect(push).toMatchObject({ outcome: 'unknown' })
      expect(scenario.hasStruck(point, shard)).toBe(true)
      const again = await scenario.pushUnique('again', 'u')
      if (exists !== null) expect(again.code).toBe(exists ? 'duplicate_key' : '')
      const jobs = await finish(scenario, 4)
      expect(jobs).toHaveLength(4)
      expectNone(await scenario.verdict({ drained: true }))
    })
  }
})

describe('a worker killed at a pull', () => {
  for (const [title, point, attempts, leaseMs] of [
    ['F04 before it was recorded: the job is delivered again at once', 'flush.before', 0, 1500],
    ['F04 after its commit, before its answer: again after the lease', 'flush.after', 1, 1500],
    ['F04 the same without a lease: again at once', 'flush.after', 0, 0],
    ['F04 before its answer was written: again at once', 'pull.reply', 0, 1500],
  ] as const) {
    it(title, async () => {
      const shard = point === 'pull.reply' ? null : SHARD
      const place = shard === null ? '' : `#${SHARD}`
      const scenario = await Scenario.open({ failpoints: `${point}${place}=kill` })
      const { id } = await scenario.push('job')
      scenario.arm()
      const consumer = scenario.client('consumer')
      const terms = { queue: QUEUE, count: 0, leaseMs, waitMs: 0, releaseOnClose: false }
      await eventually('it is asked', STRIKE_MS_MAX, async () => {
        await consumer.pull(terms)
        return scenario.hasStruck(point, shard)
      })
      const job = scenario.history.ops.flatMap((op) => (op.f === 'pull' ? op.jobs : []))[0]
      const delivered = job ?? (await scenario.pull())
      expect(delivered).toMatchObject({ id, attempts })
      await scenario.end('ack', delivered)
      await scenario.finish()
      expectNone(await scenario.verdict({ drained: true }))
    })
  }

  it('F05 after its answer: its consumer holds the job as before, and nobody else gets it', async () => {
    const scenario = await Scenario.open()
    await pushThree(scenario)
    const held = await scenario.pull()
    process.kill(scenario.server.process.workerPids()[SHARD % 2] as number, 'SIGKILL')
    const others = [await scenario.pull(), await scenario.pull()]
    expect(others.map(({ id }) => id)).not.toContain(held.id)
    for (const job of [held, ...others]) {
      expect(await scenario.end('ack', job)).toMatchObject({ outcome: 'ok' })
    }
    await scenario.finish()
    expectNone(await scenario.verdict({ drained: true }))
  })

  it('F05 with DURABILITY=async: two deliveries never have one token', async () => {
    const scenario = await Scenario.open({ settings: { DURABILITY: 'async' } })
    await pushThree(scenario)
    for (let round = 0; round < 3; round++) {
      const held = await scenario.pull({ leaseMs: 500 })
      const [pid] = scenario.server.workers().sort(() => round - 1)
      process.kill(pid as number, 'SIGKILL')
      await scenario.end('ack', held)
      await eventually('it is back', STRIKE_MS_MAX, () => scenario.server.workers().length === 2)
    }
    // What the last 10 ms brought may be gone, but nothing is doubled.
    const { violations } = await scenario.verdict()
    const doubled = violations.filter(({ rule, text }) => rule === 'I4' && text.includes('token'))
    expect(doubled).toEqual([])
  })
})

describe('a worker killed at the end of a run', () => {
  for (const [point, code] of [
    ['flush.before', ''],
    ['flush.after', 'stale_token'],
  ] as const) {
    it(`F06 at an ack, ${point}: the job is held as before, or done, never both`, async () => {
      const scenario = await Scenario.open({ failpoints: `${point}#${SHARD}=kill` })
      const { id } = await scenario.push('job')
      const job = await scenario.pull()
      scenario.arm()
      const run = await scenario.client('consumer').ack(job, '1')
      expect(run).toMatchObject({ outcome: 'unknown' })
      expect(await scenario.end('ack', job)).toMatchObject({ code })
      expect(await scenario.stateOf(id)).toBe('completed')
      expectNone(await scenario.verdict({ drained: true }))
    })

    it(`F07 at a last failure, ${point}: the job is in one place`, async () => {
      const scenario = await Scenario.open({ failpoints: `${point}#${SHARD}=kill` })
      const { id } = await scenario.push('job', { maxAttempts: 1 })
      const job = await scenario.pull()
      scenario.arm()
      const run = await scenario.client('consumer').fail(job, 'bad')
      expect(run).toMatchObject({ outcome: 'unknown' })
      expect(await scenario.end('fail', job)).toMatchObject({ code })
      expect(await scenario.stateOf(id)).toBe('failed')
      const verdict = await scenario.verdict({ drained: true })
      expectNone(verdict)
      expect(scenario.history.final?.dead.get(QUEUE)).toEqual([id])
    })

    it(`F07 at a failure that is retried, ${point}: the job runs once more`, async () => {
      const scenario = await Scenario.open({ failpoints: `${point}#${SHARD}=kill` })
      await scenario.push('job')
      const job = await scenario.pull()
      scenario.arm()
      await scenario.client('consumer').fail(job, 'bad')
      await scenario.end('fail', job)
      const again = await scenario.pull()
      expect(again).toMatchObject({ id: job.id, attempts: 1 })
      await scenario.end('ack', again)
      await scenario.finish()
      expectNone(await scenario.verdict({ drained: true }))
    })
  }
})

describe('a worker killed while something falls due', () => {
  for (const point of ['flush.before', 'flush.after'] as const) {
    it(`F08 at a tick of a cron, ${point}: each tick is one job`, async () => {
      const name = queueInShard(SHARD, 'cron')
      const scenario = await Scenario.open({ failpoints: `${point}#${SHARD}=kill` })
      const client = scenario.client('operator')
      const seconds = [5, 6, 7].map((later) => (new Date().getUTCSeconds() + later) % 60)
      const schedule = `${seconds.join()} * * * * *`
      const cron = { cmd: 'CRON', name, queue: OTHER_QUEUE, schedule, data: 'tick' }
      expect(await client.command(cron)).not.toBeNull()
      scenario.arm()
      const ticks: Seen[] = []
      while (ticks.length < 3) ticks.push(await scenario.pull({ queue: OTHER_QUEUE }))
      expect(scenario.hasStruck(point)).toBe(true)
      const made = ticks.map(({ createdAtMs }) => new Date(createdAtMs).getUTCSeconds())
      // Late ones may come a little after their second.
      expect(new Set(ticks.map(({ id }) => id)).size).toBe(3)
      expect(made.at(-1)).toBeGreaterThanOrEqual((seconds.at(-1) as number) % 60)
      const told = await client.command({ cmd: 'PULL', queue: OTHER_QUEUE, wait: 0 })
      expect(told?.answer.job).toBeNull()
    })

    it(`F09 at the end of a delay, ${point}: the job comes, and not early`, async () => {
      const scenario = await Scenario.open({ failpoints: `${point}#${SHARD}=kill` })
      const { id } = await scenario.push('delayed', { delayMs: 700 })
      scenario.arm()
      await struck(scenario, point)
      expect(await finish(scenario, 1)).toMatchObject([{ id }])
      expectNone(await scenario.verdict({ drained: true }))
    })

    it(`F09 when a parent is done, ${point} at the parent's shard: its child is free`, async () => {
      await familyTest(`${point}#${SHARD}`, point, SHARD)
    })

    it(`F09 when a parent is done, ${point} at the child's shard: the child is free`, async () => {
      await familyTest(`${point}#${OTHER_SHARD}`, point, OTHER_SHARD)
    })
  }
})

async function familyTest(place: string, point: string, shard: number): Promise<void> {
  const scenario = await Scenario.open({ failpoints: `${place}=kill` })
  const parent = await scenario.push('parent')
  const child = await scenario.push('child', { queue: OTHER_QUEUE, dependsOn: [parent.id] })
  await eventually('the parent knows its child', STRIKE_MS_MAX, async () => {
    return (await scenario.stateOf(child.id)) === 'waiting-children'
  })
  const job = await scenario.pull()
  scenario.arm()
  await scenario.end('ack', job)
  // It may be given out in the very batch that the worker dies after: then it comes back when its lease is over.
  const freed = await scenario.pull({ queue: OTHER_QUEUE, leaseMs: 2000 })
  expect(freed.id).toBe(child.id)
  await scenario.end('ack', freed)
  await scenario.finish()
  expect(scenario.hasStruck(point, shard)).toBe(true)
  expectNone(await scenario.verdict({ drained: true }))
}

describe('a crash in the middle of a recovery', () => {
  it('F10 at 10, 30, 60 and 90 %: the next one begins anew, and nothing is lost', async () => {
    const points = [10, 30, 60, 90].map((percent) => `recover.at_${percent}`)
    const failpoints = points.map((point) => `${point}#${SHARD}=kill`).join()
    const scenario = await Scenario.open({ failpoints, settings: { WORKERS: '3' } })
    for (let i = 0; i < 60; i++) await scenario.push(`job-${i}`)
    const held = await scenario.pull()
    scenario.arm()
    process.kill(scenario.server.process.workerPids()[SHARD % 3] as number, 'SIGKILL')
    for (const point of points) await struck(scenario, point)
    expect(await scenario.end('ack', held)).toMatchObject({ outcome: 'ok' })
    await finish(scenario, 59)
    expectNone(await scenario.verdict({ drained: true }))
  })
})

describe('a primary that dies', () => {
  it('F11 takes its workers along within 2 s, and nothing acknowledged with them', async () => {
    const scenario = await Scenario.open()
    const { process: first } = scenario.server
    const workers = first.workerPids()
    await pushThree(scenario)
    const held = await scenario.pull()
    const producer = scenario.client('producer')
    const pushing = producer.pushAll([1, 2, 3].map((n) => jobOf(`on-the-way-${n}`)))
    await scenario.server.kill()
    await eventually('the workers are gone', DIE_MS_MAX, () => !workers.some(isAlive))
    expect(first.find('the primary is gone')).toBeDefined()
    await scenario.server.start()
    await pushing
    expect(await scenario.end('ack', held)).toMatchObject({ outcome: 'ok' })
    await scenario.finish()
    expectNone(await scenario.verdict({ drained: true }))
  })
})

describe('a primary that dies while a connection is on its way through it', () => {
  it('F11 takes the worker along that waits for its word', async () => {
    const server = await startServer()
    const workers = server.workerPids()
    const client = await clientOfWorker(server, 0)
    process.kill(server.pid, 'SIGSTOP')
    // All for the other worker: the connection is sent there, through a primary that does not take it.
    const queue = queueOnWorker(1)
    let isGone = false
    for (let n = 0; !isGone; n++) {
      expect(n).toBeLessThan(COMMANDS_MAX)
      const answer = client.ask({ cmd: 'PUSH', queue, data: n }).catch(() => null)
      isGone = (await Promise.race([answer, pause(SILENCE_MS)])) === undefined
    }
    process.kill(server.pid, 'SIGKILL')
    await eventually('the workers are gone', DIE_MS_MAX, () => !workers.some(isAlive))
    client.destroy()
  })
})

async function clientOfWorker(server: ServerProcess, worker: number): Promise<WireClient> {
  for (;;) {
    const client = await clientOf(server)
    const { metrics } = await client.ok({ cmd: 'METRICS' })
    if (metrics?.['worker'] === worker) return client
  }
}

describe('SIGTERM', () => {
  it('F13 ends with code 0, and no run is counted that was not', async () => {
    const scenario = await Scenario.open()
    await pushThree(scenario)
    const held = await scenario.pull()
    expect(await scenario.server.terminate()).toEqual({ code: 0, signal: null })
    await scenario.server.start()
    expect(await scenario.end('ack', held)).toMatchObject({ outcome: 'ok' })
    const rest = await finish(scenario, 2)
    expect(rest.map(({ attempts }) => attempts)).toEqual([0, 0])
    expectNone(await scenario.verdict({ drained: true }))
  })

  it('F14 and then SIGKILL is a crash like any other', async () => {
    const scenario = await Scenario.open()
    await pushThree(scenario)
    const held = await scenario.pull()
    const { process: first } = scenario.server
    first.signal('SIGTERM')
    await first.logged('draining')
    await scenario.server.kill()
    await scenario.server.start()
    expect(await scenario.end('ack', held)).toMatchObject({ outcome: 'ok' })
    await finish(scenario, 2)
    expectNone(await scenario.verdict({ drained: true }))
  })
})
