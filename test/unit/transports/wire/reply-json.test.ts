import { describe, expect, it } from 'vitest'
import { ByteWriter } from '../../../../src/engine/byte-writer.ts'
import { Command } from '../../../../src/engine/command.ts'
import type { Metrics, ReplySlot, Unwritten } from '../../../../src/engine/ports.ts'
import { refusals } from '../../../../src/engine/refusal.ts'
import { JsonReply } from '../../../../src/transports/wire/reply-json.ts'
import { FakeJobSource, type JobSpec, NOW_MS } from '../../../support/job-source.ts'

class FakeSlot implements ReplySlot {
  unordered = false
  closed = 0
  handed: Unwritten | null = null
  readonly out = new ByteWriter(16)

  open(): ByteWriter {
    return this.out
  }

  close(handed: Unwritten | null): void {
    this.closed++
    this.handed = handed
  }

  get line(): string {
    return this.out.toBuffer().toString()
  }
}

function answer(write: (reply: JsonReply) => void, reqId = ''): FakeSlot {
  const slot = new FakeSlot()
  const command = new Command()
  command.bytes = Buffer.from(`{"reqId":${reqId}}`)
  command.reqIdFrom = reqId === '' ? -1 : 9
  command.reqIdTo = 9 + Buffer.byteLength(reqId)
  const reply = new JsonReply(command, slot)
  command.bytes.fill(0)
  write(reply)
  expect(slot.closed).toBe(1)
  return slot
}

const lineOf = (write: (reply: JsonReply) => void): string => answer(write).line

describe('a reply line', () => {
  it('is compact JSON with the keys of the protocol in their order', () => {
    expect(lineOf((reply) => reply.ok())).toBe('{"ok":true}\n')
    expect(lineOf((reply) => reply.pushed(64))).toBe('{"ok":true,"id":64}\n')
    expect(lineOf((reply) => reply.counted(3, []))).toBe('{"ok":true,"ids":[3]}\n')
    expect(lineOf((reply) => reply.state(9, 'waiting-children'))).toBe(
      '{"ok":true,"id":9,"state":"waiting-children"}\n',
    )
    expect(lineOf((reply) => reply.progress(9, 40, null))).toBe(
      '{"ok":true,"progress":{"id":9,"progress":40,"message":null}}\n',
    )
    expect(lineOf((reply) => reply.progress(9, 40, 'halb "fertig" ü'))).toBe(
      '{"ok":true,"progress":{"id":9,"progress":40,"message":"halb \\"fertig\\" ü"}}\n',
    )
    const stats = { queued: 1, processing: 2, delayed: 3, dlq: 4 }
    expect(lineOf((reply) => reply.stats(stats))).toBe(
      '{"ok":true,"queued":1,"processing":2,"delayed":3,"dlq":4}\n',
    )
  })

  it('tells a refusal by text and code', () => {
    expect(lineOf((reply) => reply.refused(refusals.jobNotFound(7)))).toBe(
      '{"ok":false,"error":"Job 7 not found","code":"job_not_found"}\n',
    )
    expect(lineOf((reply) => reply.refused(refusals.duplicateKey('a"b')))).toBe(
      '{"ok":false,"error":"Duplicate job with key: a\\"b","code":"duplicate_key"}\n',
    )
  })

  it('echoes reqId as second key, byte for byte, and may then come out of order', () => {
    const text = answer((reply) => reply.pushed(1), '"a\\u0062 é"')
    expect(text.line).toBe('{"ok":true,"reqId":"a\\u0062 é","id":1}\n')
    expect(text.unordered).toBe(true)
    const number = answer((reply) => reply.refused(refusals.draining), '-7')
    expect(number.line).toBe(
      '{"ok":false,"reqId":-7,"error":"Server is shutting down","code":"draining"}\n',
    )
    expect(answer((reply) => reply.ok()).unordered).toBe(false)
  })

  it('lists the ids of a batch and what was refused of it', () => {
    expect(lineOf((reply) => reply.pushedBatch(99_904, 5, []))).toBe(
      '{"ok":true,"ids":[99904,99936,99968,100000,100032]}\n',
    )
    expect(lineOf((reply) => reply.pushedBatch(0, 0, []))).toBe('{"ok":true,"ids":[]}\n')
    const refused = [
      { index: 1, refusal: refusals.memoryFull },
      { index: 4, refusal: refusals.dataTooLarge(9, 8) },
    ]
    expect(lineOf((reply) => reply.pushedBatch(32, 1, refused))).toBe(
      '{"ok":true,"ids":[32],"errors":[{"index":1,"error":"Memory limit reached, job refused; try again later","code":"memory_full"},{"index":4,"error":"Job data too large (9 bytes, max 8 bytes)","code":"data_too_large"}]}\n',
    )
    expect(lineOf((reply) => reply.counted(0, [refused[0] as never]))).toBe(
      '{"ok":true,"ids":[0],"errors":[{"index":1,"error":"Memory limit reached, job refused; try again later","code":"memory_full"}]}\n',
    )
  })

  it('writes ids of any size', () => {
    const first = Number.MAX_SAFE_INTEGER - 32 * 1000
    const ids = Array.from({ length: 1000 }, (_, i) => first + 32 * i)
    expect(lineOf((reply) => reply.pushedBatch(first, 1000, []))).toBe(
      `{"ok":true,"ids":[${ids.join(',')}]}\n`,
    )
    for (const id of [0, 9, 10, 99, 100, 999, 9999, 10_000, 10_001, 2 ** 31, 2 ** 32, 1e15]) {
      expect(lineOf((reply) => reply.pushed(id))).toBe(`{"ok":true,"id":${id}}\n`)
      expect(lineOf((reply) => reply.pushedBatch(id, 1, []))).toBe(`{"ok":true,"ids":[${id}]}\n`)
    }
  })

  it('gives a result back as it was sent', () => {
    const bytes = Buffer.from('xx{"b":1.0, "a":12345678901234567890}yy')
    expect(lineOf((reply) => reply.result(7, bytes, 2, bytes.length - 2))).toBe(
      '{"ok":true,"id":7,"result":{"b":1.0, "a":12345678901234567890}}\n',
    )
    expect(lineOf((reply) => reply.result(7, null, 0, 0))).toBe(
      '{"ok":true,"id":7,"result":null}\n',
    )
  })

  it('shows queues, metrics and crons without what is internal', () => {
    const queue = {
      name: 'a',
      pending: 1,
      processing: 2,
      dlq: 3,
      paused: true,
      rate_limit: null,
      concurrency_limit: 5,
      worker: 1,
    }
    expect(lineOf((reply) => reply.queues([queue]))).toBe(
      '{"ok":true,"queues":[{"name":"a","pending":1,"processing":2,"dlq":3,"paused":true,"rate_limit":null,"concurrency_limit":5,"worker":1}]}\n',
    )
    const metrics: Metrics = {
      total_pushed: 1,
      total_completed: 2,
      total_failed: 3,
      jobs_per_second: 0.5,
      avg_latency_ms: 1.25,
      latency_count: 9,
      queues: [queue],
    }
    expect(lineOf((reply) => reply.metrics(metrics, 2))).toBe(
      '{"ok":true,"metrics":{"total_pushed":1,"total_completed":2,"total_failed":3,"jobs_per_second":0.5,"avg_latency_ms":1.25,"queues":[{"name":"a","pending":1,"processing":2,"dlq":3,"rate_limit":null}],"worker":2}}\n',
    )
    const cron = {
      name: 'n"',
      queue: 'q',
      data: '{"ü":1}',
      schedule: '*/5',
      priority: -1,
      next_run: 12,
    }
    expect(lineOf((reply) => reply.crons([cron, cron]))).toBe(
      `{"ok":true,"crons":[${Array(2).fill('{"name":"n\\"","queue":"q","data":{"ü":1},"schedule":"*/5","priority":-1,"next_run":12}').join(',')}]}\n`,
    )
    expect(lineOf((reply) => reply.crons([]))).toBe('{"ok":true,"crons":[]}\n')
  })
})

describe('a job on the wire', () => {
  const specs: JobSpec[] = [
    {},
    { startedAt: NOW_MS + 5 },
    { data: 'null', priority: -2_147_483_648 },
    { data: '[]', priority: 2_147_483_647, attempts: 3, maxAttempts: 4_294_967_295 },
    { data: `{"text":"${'ü'.repeat(40)}"}`, backoff: 1000, ttl: 31_536_000_000, timeout: 30_000 },
    { data: `"${'x'.repeat(500)}"`, createdAt: 1, runAt: NOW_MS + 60_000 },
    { queue: 'größe-1.x', rare: { uniqueKey: 'k"1', tags: '["a","ü"]' } },
    { rare: { dependsOn: [64, 96], message: 'Zeile\n2' }, progress: 100 },
    { progress: 7 },
    {},
    {},
  ]

  it('has all keys in their order, whatever the job has', () => {
    for (const spec of specs) {
      const source = new FakeJobSource()
      const seq = source.add(spec)
      expect(lineOf((reply) => reply.jobAndState(source, seq, 'active'))).toBe(
        `{"ok":true,"job":${source.expected(seq, spec)},"state":"active"}\n`,
      )
    }
  })

  it('may be gone', () => {
    const source = new FakeJobSource()
    expect(lineOf((reply) => reply.jobAndState(source, -1, 'completed'))).toBe(
      '{"ok":true,"job":null,"state":"completed"}\n',
    )
  })

  it('is the same in a list, whatever came before it', () => {
    const source = new FakeJobSource(4090)
    const chosen = Array.from(
      { length: 60 },
      (_, i) => specs[(i * i + (i >> 1)) % specs.length] ?? {},
    )
    const seqs = chosen.map((spec) => source.add(spec))
    const jobs = seqs.map((seq, i) => source.expected(seq, chosen[i]))
    expect(lineOf((reply) => reply.pulledBatch(source, source.list(...seqs), null))).toBe(
      `{"ok":true,"jobs":[${jobs.join(',')}]}\n`,
    )
  })

  it('is the same in a run of neighbours, whatever the length of their ids', () => {
    // Ids of 2 to 13 digits; 312, 3124, 312499 and 31249999999 are just before one that has a digit more.
    for (const firstSeq of [1, 310, 312, 3120, 3124, 312_490, 2 ** 31, 31_249_999_990, 2 ** 36]) {
      const source = new FakeJobSource(firstSeq)
      const seqs = Array.from({ length: 40 }, () => source.add())
      const jobs = seqs.map((seq) => source.expected(seq))
      const line = lineOf((reply) => reply.pulledBatch(source, source.list(...seqs), null))
      expect(line, String(firstSeq)).toBe(`{"ok":true,"jobs":[${jobs.join(',')}]}\n`)
    }
  })

  it('differs from the one before it in each field that differs', () => {
    const fields = ['priority', 'createdAt', 'runAt', 'startedAt', 'attempts'] as const
    const more = ['maxAttempts', 'backoff', 'ttl', 'timeout', 'progress'] as const
    for (const field of [...fields, ...more]) {
      const source = new FakeJobSource()
      const base: JobSpec = { startedAt: NOW_MS, backoff: 1, createdAt: NOW_MS, runAt: NOW_MS }
      const chosen = [base, base, { ...base, [field]: 77 }, base]
      const seqs = chosen.map((spec) => source.add(spec))
      const jobs = seqs.map((seq, i) => source.expected(seq, chosen[i]))
      const line = lineOf((reply) => reply.pulledBatch(source, source.list(...seqs), null))
      expect(line, field).toBe(`{"ok":true,"jobs":[${jobs.join(',')}]}\n`)
    }
  })

  it('shows its token only to a pull that asked for it', () => {
    const source = new FakeJobSource()
    const seqs = [source.add(), source.add(), source.add({ progress: 1 })]
    const list = source.list(...seqs)
    const shown = { firstToken: 9_999, showToken: true }
    const jobs = [
      source.expected(seqs[0] as number, {}, 9999),
      source.expected(seqs[1] as number, {}, 10_000),
      source.expected(seqs[2] as number, { progress: 1 }, 10_001),
    ]
    expect(lineOf((reply) => reply.pulledBatch(source, list, shown))).toBe(
      `{"ok":true,"jobs":[${jobs.join(',')}]}\n`,
    )
    const hidden = { firstToken: 9_999, showToken: false }
    expect(lineOf((reply) => reply.pulled(source, list, hidden))).toBe(
      `{"ok":true,"job":${source.expected(seqs[0] as number)}}\n`,
    )
  })

  it('carries data of any length unchanged', () => {
    const source = new FakeJobSource()
    const chosen = Array.from({ length: 420 }, (_, i) => ({
      data: JSON.stringify(`${'0123456789é'.repeat(40).slice(0, i)}`),
    }))
    const seqs = chosen.map((spec) => source.add(spec))
    const jobs = seqs.map((seq, i) => source.expected(seq, chosen[i]))
    expect(lineOf((reply) => reply.pulledBatch(source, source.list(...seqs), null))).toBe(
      `{"ok":true,"jobs":[${jobs.join(',')}]}\n`,
    )
  })

  it('of another queue carries that queue', () => {
    const source = new FakeJobSource()
    const chosen = ['a', 'b', 'a', 'a'].map((queue) => ({ queue }))
    const seqs = chosen.map((spec) => source.add(spec))
    const jobs = seqs.map((seq, i) => source.expected(seq, chosen[i]))
    expect(lineOf((reply) => reply.pulledBatch(source, source.list(...seqs), null))).toBe(
      `{"ok":true,"jobs":[${jobs.join(',')}]}\n`,
    )
  })
})

describe('a pull', () => {
  it('says which jobs it hands over, apart from the scratch list they came in', () => {
    const source = new FakeJobSource()
    const list = source.list(source.add(), source.add())
    const slot = answer((reply) =>
      reply.pulledBatch(source, list, { firstToken: 12, showToken: false }),
    )
    const seqs = Float64Array.from(list.seqs.slice(0, 2))
    list.seqs.fill(0)
    expect(slot.handed).toEqual({ shard: 5, seqs, firstToken: 12 })
  })

  it('that is over without a job hands over nothing', () => {
    const source = new FakeJobSource()
    const delivery = { firstToken: 1, showToken: true }
    const one = answer((reply) => reply.pulled(source, source.list(), delivery))
    expect(one.line).toBe('{"ok":true,"job":null}\n')
    expect(one.handed).toBeNull()
    const many = answer((reply) => reply.pulledBatch(source, source.list(), delivery))
    expect(many.line).toBe('{"ok":true,"jobs":[]}\n')
    expect(many.handed).toBeNull()
  })

  it('of a thousand jobs is one line of a thousand jobs', () => {
    const source = new FakeJobSource(4000)
    const seqs = Array.from({ length: 1000 }, (_, i) =>
      source.add({ data: `{"i":${i}}`, createdAt: NOW_MS + (i >> 4) }),
    )
    const slot = answer((reply) =>
      reply.pulledBatch(source, source.list(...seqs), { firstToken: 1, showToken: false }),
    )
    const jobs = seqs.map((seq, i) =>
      source.expected(seq, { data: `{"i":${i}}`, createdAt: NOW_MS + (i >> 4) }),
    )
    expect(slot.line).toBe(`{"ok":true,"jobs":[${jobs.join(',')}]}\n`)
  })
})
