// The records of a shard as bytes: pinned, because replicas and journals of other versions read them.
// A change here is a change of format: it needs a new kind of record, never a new meaning of an old one.

import { beforeEach, describe, expect, it } from 'vitest'
import { shardOfQueue } from '../../../src/cluster/shard-of-queue.ts'
import { RecordReader, RecordWriter } from '../../../src/engine/record-bytes.ts'
import { RecordKind } from '../../../src/engine/recorder.ts'
import { Replay } from '../../../src/engine/replay.ts'
import { ShardState } from '../../../src/engine/shard-state.ts'
import { dumpState, hashState } from '../../../src/engine/state-dump.ts'
import { EngineHarness, queueOfShard } from '../../support/engine-harness.ts'
import pinned from './records.json' with { type: 'json' }
import oldest from './records-2026-11.json' with { type: 'json' }
import older from './records-2026-11-24.json' with { type: 'json' }

const here = queueOfShard(4)
const there = queueOfShard(20)

/** A history that makes a record of every kind in shard 4. */
function everyKind(): EngineHarness {
  const q = new EngineHarness({ records: true, retention: { count: 2 } })
  q.send({ cmd: 'PULL', queue: `${here}`, wait: 0 })
  const plain = q.push(here, 'plain')
  const { ids } = q.send({
    cmd: 'PUSHB',
    queue: here,
    jobs: [
      { data: { a: 1 }, priority: -2, unique_key: 'kéy', tags: ['t'] },
      { data: 2, delay: 10, ttl: 99_999, timeout: 5000, max_attempts: 1, backoff: 7 },
      { data: 3, unique_key: 'kéy' },
    ],
  })
  q.pullMany(here, 1, { lease: 1000, release_on_close: true, token: true })
  q.shards[4]?.renameHolder(1, 2)
  q.send({ cmd: 'HEARTBEAT', id: plain, lease: 2000 })
  q.send({ cmd: 'PROGRESS', id: plain, progress: 50, message: 'halb' })
  q.send({ cmd: 'RELEASE', id: plain })
  q.pull(here)
  q.fail(plain, 'böse')
  q.pull(here)
  q.ack(plain, { result: { r: 1 } })
  q.advance(10)
  q.pullMany(here, 2)
  q.fail(ids[1] as number, 'last')
  q.send({ cmd: 'RETRYDLQ', queue: here })
  q.ack(ids[0] as number)
  const child = q.push(here, 'child', { depends_on: [q.push(there)] })
  q.ack(q.pull(there)?.id ?? 0)
  q.send({ cmd: 'CANCEL', id: child })
  const parent = q.push(here, 'parent', { priority: 9 })
  q.push(there, 'waits', { depends_on: [parent] })
  q.pull(here)
  q.ack(parent)
  q.send({ cmd: 'PAUSE', queue: here })
  q.send({ cmd: 'RESUME', queue: here })
  q.send({ cmd: 'RATELIMIT', queue: here, limit: 100 })
  q.send({ cmd: 'RATELIMITCLEAR', queue: here })
  q.send({ cmd: 'SETCONCURRENCY', queue: here, limit: 4 })
  q.send({ cmd: 'CLEARCONCURRENCY', queue: here })
  const cron = { cmd: 'CRON', name: here, queue: here, schedule: '*/1', data: { c: 1 } }
  q.send({ ...cron, priority: 3 })
  q.advance(1000)
  q.send({ cmd: 'CRONDELETE', name: here })
  q.send({ cmd: 'PUSHB', queue: here, jobs: [{ data: 'x' }, { data: 'y' }] })
  const left = q.pullMany(here, 9)
  q.send({ cmd: 'ACKB', ids: left.map((job) => job.id) })
  q.crash(4, { skipped: 5 })
  // Texts that UTF-8 can't say: JSON's escapes let them through.
  const odd = q.push(here, 'odd', { unique_key: 'half \ud83d' })
  q.pull(here)
  q.send({ cmd: 'PROGRESS', id: odd, progress: 1, message: '\ud800 and \u0000' })
  q.fail(odd, 'half \udc00')
  q.send({ ...cron, name: nameOfShard(4), schedule: '*/60' })
  q.push(here, 'dies', { max_attempts: 1, priority: 50 })
  const dying = q.pull(here)?.id ?? 0
  q.send({ cmd: 'LOG', id: dying, line: 'ü, half \udc00' })
  q.fail(dying, 'for good')
  q.send({ cmd: 'PROMOTE', id: q.push(here, 'soon', { delay: 5000 }) })
  q.send({ cmd: 'DRAIN', queue: here })
  q.send({ cmd: 'PAUSE', queue: here })
  q.send({ cmd: 'DELETEQUEUE', queue: here, force: true })
  q.send({ cmd: 'LOG', id: q.push(here, 'logs'), line: 'stays' })
  return q
}

/** With half of a surrogate pair in it. */
function nameOfShard(shard: number): string {
  for (let i = 0; ; i++) if (shardOfQueue(`\ud83d${i}`) === shard) return `\ud83d${i}`
}

describe('records', () => {
  let q: EngineHarness

  beforeEach(() => {
    q = everyKind()
  })

  const records = () => q.records[4] as Buffer[]

  it('are these bytes', () => {
    expect(records().map((record) => record.toString('hex'))).toEqual(pinned.records)
  })

  it('are of every kind but those about webhooks, and three: of before, of a queue that is forgotten, of an owner that has no more to say', () => {
    const kinds = new Set(records().map((record) => record[0]))
    const missing = Object.entries(RecordKind).filter(
      // See webhook-records.test.ts.
      ([, kind]) => !kinds.has(kind) && kind < RecordKind.webhooksSet,
    )
    expect(missing.map(([name]) => name)).toEqual(['deadLettered', 'queueClosed', 'confirmed'])
  })

  it('keep texts exactly', () => {
    const state = new ShardState(4, 1)
    const replay = new Replay(state)
    for (const record of older.records) replay.apply(Buffer.from(record, 'hex'))
    const rare = [...state.jobs.rare.values()].at(-1)
    expect([rare?.uniqueKey, rare?.error]).toEqual(['half \ud83d', 'half \udc00'])
    expect([...state.crons.keys()]).toEqual([nameOfShard(4)])
  })

  it('as pinned give the state as pinned', () => {
    const state = new ShardState(4, 1)
    const replay = new Replay(state)
    for (const record of pinned.records) replay.apply(Buffer.from(record, 'hex'))
    expect(dumpState(state)).toBe(dumpState(q.shards[4]?.state as ShardState))
    expect(hashState(state)).toBe(pinned.stateHash)
  })

  it.each([
    ['there was one for plain jobs', oldest],
    ['the moment of a failure was recorded', older],
  ])('of before %s give the state that they gave', (_, { records: ofBefore, stateHash }) => {
    const state = new ShardState(4, 1)
    const replay = new Replay(state)
    for (const record of ofBefore) replay.apply(Buffer.from(record, 'hex'))
    expect(hashState(state)).toBe(stateHash)
    expect(stateHash).toBe(oldest.stateHash)
  })

  it('of a closed queue are pinned too', () => {
    const writer = new RecordWriter()
    const closed = Buffer.from(writer.begin(RecordKind.queueClosed).u32(0).end())
    expect(closed.toString('hex')).toBe('1100000000')
    const state = new ShardState(4, 1)
    const replay = new Replay(state)
    replay.apply(writer.begin(RecordKind.queueOpened).u32(0).text('q').end())
    replay.apply(closed)
    expect(state.queuesByName.size).toBe(0)
    expect(state.nextQueueNo()).toBe(0)
  })

  it('of an unknown kind, or cut short, are refused', () => {
    const replay = new Replay(new ShardState(4, 1))
    expect(() => replay.apply(Buffer.from([99]))).toThrow('unknown kind of record: 99')
    expect(() => replay.apply(Buffer.alloc(0))).toThrow(RangeError)
    for (const record of records()) {
      const followed = new ShardState(4, 1)
      const cut = new Replay(followed)
      for (const before of records()) {
        if (before === record) break
        cut.apply(before)
      }
      expect(() => cut.apply(record.subarray(0, record.length - 1))).toThrow()
    }
  })
})

describe('the cells of a record', () => {
  it('come back as they were written, and a writer grows', () => {
    const writer = new RecordWriter()
    const long = 'ü'.repeat(5000)
    const half = 'a\ud83d\u0000'
    const record = writer
      .begin(7)
      .u32(0xffff_ffff)
      .f64(-0.5)
      .text(long)
      .textOrNull(null)
      .textOrNull('')
      .raw(Buffer.from('abcdef'), 1, 4)
      .text(half)
      .text(half + long)
      .end()
    const reader = new RecordReader(record)
    expect([reader.u8(), reader.u32(), reader.f64()]).toEqual([7, 0xffff_ffff, -0.5])
    expect([reader.text(), reader.textOrNull(), reader.textOrNull()]).toEqual([long, null, ''])
    expect(reader.raw().toString()).toBe('bcd')
    expect([reader.text(), reader.text(), reader.atEnd]).toEqual([half, half + long, true])
    expect(() => reader.raw()).toThrow(RangeError)
  })

  it('of seven bits a byte take any safe integer, and steps of either sign', () => {
    const writer = new RecordWriter()
    const numbers = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER]
    const steps = [0, -1, 1, -64, 64, -65, 2 ** 51, -(2 ** 51)]
    writer.begin(0)
    for (const number of numbers) writer.uint(number)
    for (const step of steps) writer.sint(step)
    const reader = new RecordReader(writer.end().subarray(1))
    expect(numbers.map(() => reader.uint())).toEqual(numbers)
    expect(steps.map(() => reader.sint())).toEqual(steps)
    expect(reader.atEnd).toBe(true)
  })

  it('are refused when a text is cut short, whatever it is made of', () => {
    const writer = new RecordWriter()
    for (const text of ['plain', 'half \udc00']) {
      const record = writer.begin(0).text(text).end()
      expect(() => new RecordReader(record.subarray(1, -1)).text()).toThrow(RangeError)
    }
  })
})
