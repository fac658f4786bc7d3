// Webhooks in the shards alone: who is told of what, when it is tried again, and what a crash leaves of it.

import { describe, expect, it } from 'vitest'
import { jobIdOf } from '../../../src/engine/job-id.ts'
import { limits } from '../../../src/engine/limits.ts'
import { Replay } from '../../../src/engine/replay.ts'
import type { Shard } from '../../../src/engine/shard.ts'
import { ShardState } from '../../../src/engine/shard-state.ts'
import { dumpState } from '../../../src/engine/state-dump.ts'
import type { DeliveryEnd, DeliveryRef } from '../../../src/engine/webhook-ports.ts'
import {
  EngineHarness,
  type HarnessOptions,
  Pending,
  queueOfShard,
} from '../../support/engine-harness.ts'
import { restoreOf, storedOf } from '../../support/restored.ts'

const SHARD = 5
const queue = queueOfShard(SHARD)
const other = queueOfShard(6)
const URL = 'https://example.com/hook'

function withWebhook(fields: object = {}, options: HarnessOptions = {}): EngineHarness {
  const q = new EngineHarness({ records: true, ...options })
  const frame = { cmd: 'WEBHOOK', url: URL, events: ['*'], ...fields }
  expect(q.send(frame)).toEqual({ ok: true, id: 'wh_1' })
  return q
}

const shardOf = (q: EngineHarness, shard = SHARD): Shard => q.shards[shard] as Shard

function bodyOf(q: EngineHarness, ref: DeliveryRef): unknown {
  const taken = shardOf(q, ref.shard).takeDelivery(ref)
  return taken === null ? null : JSON.parse(taken.body.toString())
}

function bodies(q: EngineHarness): unknown[] {
  return q.deliveries.splice(0).map((ref) => bodyOf(q, ref))
}

function answer(q: EngineHarness, ref: DeliveryRef, end: DeliveryEnd, delayMs = 0): void {
  const result = { end, delayMs, status: end === 'ok' ? 200 : 500, error: null, tookMs: 3 }
  q.webhookLetter({ kind: 'delivered', to: ref.shard, ref, result })
  q.settle()
}

const list = (q: EngineHarness): Record<string, unknown>[] =>
  (q.send({ cmd: 'WEBHOOKLIST' }) as unknown as { webhooks: Record<string, unknown>[] }).webhooks

const log = (q: EngineHarness, id = 'wh_1'): Record<string, unknown>[] =>
  (q.send({ cmd: 'WEBHOOKLOG', id }) as unknown as { deliveries: Record<string, unknown>[] })
    .deliveries

describe('a webhook', () => {
  it('is told of what happens to a job, in six keys', () => {
    const q = withWebhook()
    const id = q.push(queue, { a: [1, 'ü'] })
    q.pull(queue)
    q.send({ cmd: 'PROGRESS', id, progress: 40, message: 'half' })
    q.ack(id, { result: { r: 1 } })
    const always = { error: null, job_id: id, queue, timestamp: q.nowMs }
    expect(bodies(q)).toEqual([
      { ...always, event: 'pushed', data: { a: [1, 'ü'] } },
      { ...always, event: 'progress', data: { message: 'half', progress: 40 } },
      { ...always, event: 'completed', data: { r: 1 } },
    ])
  })

  it('gets its keys in alphabetical order, and the bytes of the payload as they came', () => {
    const q = withWebhook()
    q.send(`{"cmd":"PUSH","queue":"${queue}","data":{ "b" : 1.50, "a":1e3 }}`)
    const [ref] = q.deliveries
    const body = shardOf(q)
      .takeDelivery(ref as DeliveryRef)
      ?.body.toString()
    expect(body).toBe(
      `{"data":{ "b" : 1.50, "a":1e3 },"error":null,"event":"pushed","job_id":${jobIdOf(1, SHARD)},` +
        `"queue":"${queue}","timestamp":${q.nowMs}}`,
    )
  })

  it('hears of the end of a job with its error, of one that is taken out too', () => {
    const q = withWebhook({ events: ['job.failed', 'cancelled'] })
    const failing = q.push(queue, 1, { max_attempts: 1 })
    q.pull(queue)
    q.fail(failing, 'no "way"')
    const cancelled = q.push(queue, 2)
    q.send({ cmd: 'CANCEL', id: cancelled })
    expect(bodies(q)).toMatchObject([
      { event: 'failed', job_id: failing, error: 'no "way"', data: null },
      { event: 'cancelled', job_id: cancelled, error: null, data: null },
    ])
  })

  it.each(['completed', 'job.completed'])('hears of %s and of nothing else', (event) => {
    const q = withWebhook({ events: [event] })
    const ids = [q.push(queue), q.push(queue)]
    q.pullIds(queue)
    q.send({ cmd: 'ACKB', ids })
    expect(bodies(q)).toMatchObject(ids.map((job_id) => ({ event: 'completed', job_id })))
  })

  it('of one queue hears of that queue only, and one of none of all', () => {
    const q = withWebhook({ queue })
    q.send({ cmd: 'WEBHOOK', url: `${URL}/all`, events: ['pushed'] })
    q.push(other)
    q.push(queue)
    expect(q.deliveries.map(({ webhook, shard }) => [webhook, shard])).toEqual([
      [2, 6],
      [1, SHARD],
      [2, SHARD],
    ])
  })

  it('hears of each job of a batch', () => {
    const q = withWebhook({ events: ['pushed'] })
    q.send({ cmd: 'PUSHB', queue, jobs: [{ data: 1 }, { data: 2 }] })
    expect(bodies(q)).toMatchObject([{ data: 1 }, { data: 2 }])
  })

  it('is nowhere among the jobs', () => {
    const q = withWebhook()
    const id = q.push(queue)
    expect(q.stats()).toEqual({ queued: 1, processing: 0, delayed: 0, dlq: 0 })
    expect(q.queues().map(({ name }) => name)).toEqual([queue])
    q.send({ cmd: 'CANCEL', id })
    expect(shardOf(q).state.jobs.live).toBe(0)
    expect(shardOf(q).isEmpty()).toBe(false)
  })
})

describe('the commands', () => {
  it('show a webhook without its secrets, in the order of the wire', () => {
    const q = withWebhook({ secret: 'hush', headers: { 'x-key': 'hush' }, queue })
    expect(list(q)).toEqual([
      {
        id: 'wh_1',
        url: URL,
        events: ['*'],
        queue,
        secret: '***',
        created_at: q.nowMs,
        headers: { 'x-key': '***' },
        enabled: true,
        reason: null,
      },
    ])
    expect(JSON.stringify(list(q))).not.toContain('hush')
  })

  it('change one, and keep what is not named', () => {
    const q = withWebhook({ secret: 'first', queue })
    q.send({ cmd: 'WEBHOOK', id: 'wh_1', url: `${URL}/2`, secret: 'second' })
    q.push(queue)
    const { webhook } = shardOf(q).takeDelivery(q.deliveries[0] as DeliveryRef) ?? {}
    expect(webhook).toMatchObject({ url: `${URL}/2`, queue, secret: 'second', oldSecret: 'first' })
    expect(webhook?.oldSecretUntilMs).toBe(q.nowMs + limits.webhookRotationMs)
  })

  it('delete one, with what was to be delivered to it', () => {
    const q = withWebhook()
    q.push(queue)
    expect(q.send({ cmd: 'WEBHOOKDELETE', id: 'wh_1' })).toEqual({ ok: true })
    expect(bodies(q)).toEqual([null])
    expect(shardOf(q).state.outbox.bytes).toBe(0)
    expect(q.send({ cmd: 'WEBHOOKDELETE', id: 'wh_1' }).code).toBe('webhook_not_found')
    // Ids are never used twice.
    expect(q.send({ cmd: 'WEBHOOK', url: URL, events: ['*'] }).id).toBe('wh_2')
  })

  it('try one with an event about no job', () => {
    const q = withWebhook()
    const { id } = q.send({ cmd: 'WEBHOOKPING', id: 'wh_1' })
    const [ref] = q.deliveries
    expect(id).toBe(`msg_0_1_${q.nowMs}`)
    expect(bodyOf(q, ref as DeliveryRef)).toMatchObject({ event: 'ping', job_id: null })
  })

  it.each([
    [{ events: ['*'] }, 'invalid'],
    [{ url: URL }, 'invalid'],
    [{ url: 7, events: ['*'] }, 'invalid'],
    [{ url: `${URL}/${'x'.repeat(2048)}`, events: ['*'] }, 'limit_exceeded'],
    [{ url: 'http://example.com', events: ['*'] }, 'webhook_invalid'],
    [{ url: URL, events: [] }, 'webhook_invalid'],
    [{ url: URL, events: ['finished'] }, 'webhook_invalid'],
    [{ url: URL, events: ['job.*'] }, 'webhook_invalid'],
    [{ url: URL, events: ['constructor'] }, 'webhook_invalid'],
    [{ url: URL, events: [1] }, 'invalid'],
    [{ url: URL, events: Array(33).fill('*') }, 'limit_exceeded'],
    [{ url: URL, events: ['*'], queue: 'a/b' }, 'queue_name_invalid'],
    [{ url: URL, events: ['*'], secret: '' }, 'webhook_invalid'],
    [{ url: URL, events: ['*'], secret: 'x'.repeat(257) }, 'webhook_invalid'],
    [{ url: URL, events: ['*'], secret: 'whsec_c2hvcnQ=' }, 'webhook_invalid'],
    [{ url: URL, events: ['*'], secret: 'two\nlines' }, 'webhook_invalid'],
    [{ url: URL, events: ['*'], headers: { 'x-a': 'b\r\nc: d' } }, 'webhook_invalid'],
    [{ url: URL, events: ['*'], headers: { Host: 'a' } }, 'webhook_invalid'],
    [{ url: URL, events: ['*'], headers: { 'webhook-id': 'a' } }, 'webhook_invalid'],
    [{ url: URL, events: ['*'], headers: [] }, 'invalid'],
    [{ id: 'wh_9', url: URL }, 'webhook_not_found'],
    [{ id: 'nonsense', url: URL }, 'webhook_not_found'],
    [{ id: 3, url: URL }, 'invalid'],
  ])('refuse %o with %s', (fields, code) => {
    const q = new EngineHarness()
    expect(q.send({ cmd: 'WEBHOOK', ...fields }).code).toBe(code)
    expect(list(q)).toEqual([])
  })

  it('refuse a key that comes twice, and one webhook too many', () => {
    const q = new EngineHarness()
    const twice = `{"cmd":"WEBHOOK","url":"${URL}","events":["*"],"url":"${URL}"}`
    expect(q.send(twice).error).toBe('Invalid: duplicate field "url"')
    for (let i = 0; i < limits.webhooksMax; i++) {
      expect(q.send({ cmd: 'WEBHOOK', url: URL, events: ['*'] }).ok).toBe(true)
    }
    expect(q.send({ cmd: 'WEBHOOK', url: URL, events: ['*'] }).code).toBe('limit_exceeded')
  })
})

describe('a delivery', () => {
  it('that arrives is off the outbox, and on the log', () => {
    const q = withWebhook()
    q.push(queue)
    const [ref] = q.deliveries as unknown as [DeliveryRef]
    answer(q, ref, 'ok')
    expect(bodyOf(q, ref)).toBeNull()
    expect(shardOf(q).state.outbox.entries.size).toBe(0)
    expect(log(q)).toMatchObject([
      { id: `msg_${SHARD}_1_${q.nowMs}`, event: 'pushed', attempt: 1, ok: true, status: 200 },
    ])
  })

  it('that fails comes again when it is due, with the same id', () => {
    const q = withWebhook()
    q.push(queue)
    const [ref] = q.deliveries.splice(0) as unknown as [DeliveryRef]
    answer(q, ref, 'retry', 5000)
    q.advance(4999)
    expect(q.deliveries).toEqual([])
    q.advance(1)
    expect(q.deliveries).toEqual([ref])
    expect(shardOf(q).takeDelivery(ref)?.attempts).toBe(1)
    expect(log(q)).toMatchObject([{ ok: false, attempt: 1, next_at: q.nowMs }])
  })

  it('of which nothing is heard is named again', () => {
    const q = withWebhook()
    q.push(queue)
    const [ref] = q.deliveries.splice(0)
    q.advance(limits.webhookResendMs)
    expect(q.deliveries).toEqual([ref])
  })

  it('is answered once: what comes later about it, or about another life, changes nothing', () => {
    const q = withWebhook()
    q.push(queue)
    q.push(queue)
    const [first, second] = q.deliveries as unknown as [DeliveryRef, DeliveryRef]
    answer(q, first, 'ok')
    answer(q, first, 'retry', 10)
    answer(q, { ...second, createdAtMs: 1 }, 'ok')
    expect([...shardOf(q).state.outbox.entries.keys()]).toEqual([2])
  })

  it('that is given up is gone, and the webhook is not', () => {
    const q = withWebhook()
    q.push(queue)
    answer(q, q.deliveries[0] as DeliveryRef, 'dead')
    expect(shardOf(q).state.outbox.entries.size).toBe(0)
    expect(list(q)).toMatchObject([{ enabled: true }])
  })

  it('beyond what the outbox holds is dropped, and that is told', () => {
    const q = withWebhook({ events: ['pushed'] })
    const jobs = Array.from({ length: 1000 }, () => ({ data: 0 }))
    for (let i = 0; i < 10; i++) q.send({ cmd: 'PUSHB', queue, jobs })
    expect(q.droppedFor).toEqual([])
    expect(q.push(queue)).toBeGreaterThan(0)
    expect(q.droppedFor).toEqual([1])
    expect(shardOf(q).state.outbox.entries.size).toBe(limits.webhookOutboxMax)
  })
})

describe('a webhook that is disabled', () => {
  it('hears nothing, and what waited goes on when it is enabled', () => {
    const q = withWebhook()
    q.push(queue)
    const [ref] = q.deliveries.splice(0) as unknown as [DeliveryRef]
    answer(q, ref, 'retry', 1000)
    q.send({ cmd: 'WEBHOOK', id: 'wh_1', enabled: false, reason: 'moving' })
    q.push(queue)
    q.advance(5000)
    expect(q.deliveries).toEqual([])
    expect(list(q)).toMatchObject([{ enabled: false, reason: 'moving' }])
    q.send({ cmd: 'WEBHOOK', id: 'wh_1', enabled: true })
    expect(q.deliveries).toEqual([ref])
    expect(list(q)).toMatchObject([{ enabled: true, reason: null }])
  })

  it('is so at once when its receiver says that it is gone', () => {
    const q = withWebhook()
    q.push(queue)
    answer(q, q.deliveries[0] as DeliveryRef, 'gone')
    expect(list(q)).toMatchObject([{ enabled: false, reason: 'gone' }])
  })

  it('is so when nothing has arrived for long; one arrival begins anew', () => {
    const q = withWebhook({}, { disableAfterMs: 10_000 })
    const fail = (): void => {
      q.push(queue)
      answer(q, q.deliveries.pop() as DeliveryRef, 'dead')
    }
    fail()
    q.advance(9999)
    q.push(other)
    answer(q, q.deliveries.pop() as DeliveryRef, 'ok')
    fail()
    q.advance(9999)
    fail()
    expect(list(q)).toMatchObject([{ enabled: true }])
    q.advance(1)
    fail()
    expect(list(q)).toMatchObject([{ enabled: false, reason: 'failing' }])
  })

  it('stays so when its home has a new owner, who knows since when others fail', () => {
    const q = withWebhook({}, { disableAfterMs: 10_000 })
    q.push(queue)
    answer(q, q.deliveries.pop() as DeliveryRef, 'dead')
    q.crash(0)
    q.advance(10_000)
    q.push(queue)
    answer(q, q.deliveries.pop() as DeliveryRef, 'dead')
    q.crash(0)
    expect(list(q)).toMatchObject([{ enabled: false, reason: 'failing' }])
  })
})

describe('the list', () => {
  it('is in every shard before a change is answered', () => {
    const q = withWebhook()
    const texts = new Set(q.shards.map(({ state }) => state.webhooks.toText()))
    expect(texts.size).toBe(1)
  })

  it('is sent again until every shard has it; the answer does not wait for ever', () => {
    const q = new EngineHarness()
    q.lostLetters.add('webhooks')
    const pending = q.start({ cmd: 'WEBHOOK', url: URL, events: ['*'] })
    expect(pending.line).toBeNull()
    q.advance(limits.webhooksAnswerMsMax)
    expect(pending.answer).toEqual({ ok: true, id: 'wh_1' })
    q.lostLetters.clear()
    q.advance(limits.webhooksResendMs)
    q.push(queue)
    expect(q.deliveries).toHaveLength(1)
    // Then all is quiet.
    q.advance(limits.webhooksResendMs)
    expect(shardOf(q, 0).nextDueMs()).toBe(Number.POSITIVE_INFINITY)
  })

  it('is answered by a home that is about to end', () => {
    const q = new EngineHarness()
    q.lostLetters.add('webhooksTaken')
    const pending = q.start({ cmd: 'WEBHOOK', url: URL, events: ['*'] })
    shardOf(q, 0).endWaits()
    expect(pending).toBeInstanceOf(Pending)
    expect(pending.answer?.ok).toBe(true)
  })

  it('is not replaced by an older one', () => {
    const q = withWebhook()
    const older = shardOf(q).state.webhooks.toText()
    q.send({ cmd: 'WEBHOOKDELETE', id: 'wh_1' })
    q.webhookLetter({ kind: 'webhooks', to: SHARD, text: older })
    q.settle()
    q.push(queue)
    expect(q.deliveries).toEqual([])
  })

  it('comes back to a home that lost it, from the others', () => {
    const q = withWebhook({}, { records: false })
    q.shards[0] = q.emptyShard(0)
    for (const shard of q.shards) shard.askAgain()
    q.settle()
    expect(list(q)).toMatchObject([{ id: 'wh_1' }])
    expect(q.send({ cmd: 'WEBHOOK', url: URL, events: ['*'] }).id).toBe('wh_2')
  })
})

describe('after a crash', () => {
  it('of a shard everything that was to be delivered still is, when it is due', () => {
    const q = withWebhook()
    q.push(queue, 'now')
    q.push(queue, 'later')
    const [now, later] = q.deliveries.splice(0) as unknown as [DeliveryRef, DeliveryRef]
    answer(q, later, 'retry', 60_000)
    q.crash(SHARD)
    q.advance(0)
    expect(q.deliveries).toEqual([now])
    q.advance(60_000)
    expect(q.deliveries).toEqual([now, later])
    expect(bodyOf(q, later)).toMatchObject({ data: 'later', job_id: jobIdOf(2, SHARD) })
    expect(shardOf(q).takeDelivery(later)?.attempts).toBe(1)
  })

  it('the records alone give the same state, and so does a checkpoint', () => {
    const q = withWebhook({ secret: 'half \\ud83d'.slice(0, 4) })
    q.send({ cmd: 'WEBHOOK', url: URL, events: ['pushed', 'expired'] })
    const id = q.push(queue, { big: 'x'.repeat(300) }, { ttl: 10 })
    q.push(queue, 'b')
    q.advance(20)
    answer(q, q.deliveries[0] as DeliveryRef, 'retry', 1000)
    answer(q, q.deliveries[1] as DeliveryRef, 'ok')
    q.send({ cmd: 'WEBHOOKPING', id: 'wh_2' })
    answer(q, q.deliveries.at(-1) as DeliveryRef, 'dead')
    expect(q.state(id)).toBe('unknown')
    for (const shard of [0, SHARD]) {
      const { state } = shardOf(q, shard)
      const replayed = new ShardState(shard, 1)
      const replay = new Replay(replayed)
      for (const record of q.records[shard] as Buffer[]) replay.apply(record)
      expect(dumpState(replayed)).toBe(dumpState(state))
      expect(dumpState(restoreOf(shard, storedOf(state)).state)).toBe(dumpState(state))
    }
  })
})
