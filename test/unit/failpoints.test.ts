// Failpoints strike when and where they are told to, once, and change nothing otherwise.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Command } from '../../src/engine/command.ts'
import type { Reply, ReplySlot, WireCodec } from '../../src/engine/ports.ts'
import type { Loaded, ShardReader, Storage } from '../../src/engine/storage-port.ts'
import {
  ARMED_FILE,
  codecWithFailpoints,
  Failpoints,
  failpointFile,
  guardsFrom,
  parseFailpoints,
  storageWithFailpoints,
} from '../../src/failpoints.ts'
import { wireCodec } from '../../src/transports/wire/codec.ts'

const CLAIM = { shard: 5, epoch: 1 }
const BATCH = { position: 1, side: 0, count: 1, bytes: Buffer.alloc(1) }

/** Armed. */
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'failpoints-'))
  writeFileSync(join(made, ARMED_FILE), '')
  onTestFinished(() => rmSync(made, { recursive: true }))
  return made
}

/** Says what was done, deaths included. */
function traced(text: string, at = folder()): { points: Failpoints; trace: string[] } {
  const trace: string[] = []
  return { points: new Failpoints(parseFailpoints(text), at, () => trace.push('died')), trace }
}

function storageOf(trace: string[], jobs = 0): Storage {
  const did = async <T>(what: string, result: T): Promise<T> => {
    trace.push(what)
    return result
  }
  return {
    start: () => did('start', undefined),
    stop: () => did('stop', undefined),
    claim: () => did('claim', [CLAIM]),
    release: () => did('release', undefined),
    load: (_claim, into: ShardReader) => {
      into.meta(Buffer.alloc(0))
      for (let i = 0; i < jobs; i++) into.batch(Buffer.alloc(0))
      return did('load', {} as Loaded)
    },
    append: () => did('append', 'durable'),
    reserve: () => did('reserve', 'durable'),
    checkpoint: () => did('checkpoint', 'fenced'),
    emptySide: () => did('empty', true),
  }
}

describe('a failpoint', () => {
  it('is read: where, when, what', () => {
    expect(parseFailpoints('flush.after#5@2=kill, claim.before=pause:50')).toEqual([
      { point: 'flush.after', shard: 5, nth: 2, action: 'kill', argument: '' },
      { point: 'claim.before', shard: null, nth: 1, action: 'pause', argument: '50' },
    ])
    for (const text of ['', 'flush=kill', 'flush.after=explode', 'flush.after@x=kill']) {
      expect(() => parseFailpoints(text), text).toThrow('not a failpoint')
    }
    expect(() => guardsFrom({ FLASHQ_FAILPOINTS: 'a.b=kill' })).toThrow('_DIR')
  })

  it('strikes in its shard, the n-th time', () => {
    const { points, trace } = traced('flush.after#5@2=kill')
    for (const shard of [4, 5, 4, null]) points.hit('flush.after', shard)
    points.hit('flush.before', 5)
    expect(trace).toEqual([])
    points.hit('flush.after', 5)
    expect(trace).toEqual(['died'])
  })

  it('does nothing, and counts nothing, before it is armed', () => {
    const at = folder()
    rmSync(join(at, ARMED_FILE))
    const { points, trace } = traced('flush.after@2=kill', at)
    points.hit('flush.after', 5)
    writeFileSync(join(at, ARMED_FILE), '')
    points.hit('flush.after', 5)
    expect(trace).toEqual([])
    points.hit('flush.after', 5)
    expect(trace).toEqual(['died'])
  })

  it('strikes once, whoever comes there later, and leaves a file that says so', () => {
    const at = folder()
    const first = traced('flush.after=kill', at)
    first.points.hit('flush.after', 1)
    first.points.hit('flush.after', 1)
    const restarted = traced('flush.after=kill', at)
    restarted.points.hit('flush.after', 1)
    expect([...first.trace, ...restarted.trace]).toEqual(['died'])
    expect(existsSync(join(at, failpointFile('flush.after')))).toBe(true)
  })
})

describe('a storage with failpoints', () => {
  it('does what the storage does', async () => {
    const { points, trace } = traced('flush.before#6=kill')
    const storage = storageWithFailpoints(storageOf(trace), points)
    await storage.start()
    expect(await storage.claim([5])).toEqual([CLAIM])
    expect(await storage.append(CLAIM, BATCH)).toBe('durable')
    expect(await storage.reserve(CLAIM, 9)).toBe('durable')
    expect(await storage.checkpoint(CLAIM, 1)).toBe('fenced')
    expect(await storage.emptySide(CLAIM, 0)).toBe(true)
    await storage.load(CLAIM, readerOf(trace))
    await storage.release(CLAIM)
    await storage.stop()
    const all = ['start', 'claim', 'append', 'reserve', 'checkpoint', 'empty', 'meta', 'load']
    expect(trace).toEqual([...all, 'release', 'stop'])
  })

  it('dies before, during or after a call', async () => {
    for (const [point, expected] of [
      ['flush.before', ['died', 'append']],
      ['flush.sent', ['append', 'died']],
      ['flush.after', ['append', 'died']],
    ] as const) {
      const { points, trace } = traced(`${point}=kill`)
      await storageWithFailpoints(storageOf(trace), points).append(CLAIM, BATCH)
      expect(trace).toEqual(expected)
    }
  })

  it('fails before a call, or after it as if its answer were lost', async () => {
    for (const [point, expected] of [
      ['flush.before', []],
      ['flush.after', ['append']],
    ] as const) {
      const { points, trace } = traced(`${point}=fault:08006`)
      const storage = storageWithFailpoints(storageOf(trace), points)
      const failed = storage.append(CLAIM, BATCH)
      await expect(failed).rejects.toMatchObject({ code: '08006', retryable: true })
      expect(trace).toEqual(expected)
      expect(await storage.append(CLAIM, BATCH)).toBe('durable')
    }
  })

  it('dies in the middle of a recovery', async () => {
    const { points, trace } = traced('recover.at_30=kill,recover.at_90=kill')
    await storageWithFailpoints(storageOf(trace, 10), points).load(CLAIM, readerOf(trace))
    const batches = (count: number) => new Array<string>(count).fill('batch')
    const read = ['load', 'meta', ...batches(3), 'died', ...batches(6), 'died', 'batch', 'load']
    expect(trace).toEqual(read)
  })
})

describe('a codec with failpoints', () => {
  it('dies when a command was read, or before its answer is written', () => {
    const { points, trace } = traced('push.received@2=kill,pull.reply=kill')
    const reply = { pulled: () => trace.push('pulled') } as unknown as Reply
    const codec: WireCodec = { ...wireCodec, reply: () => reply }
    const wrapped = codecWithFailpoints(codec, points)
    const command = new Command()
    const scan = (text: string) => {
      const frame = Buffer.from(`${text}\n`)
      return wrapped.scan(frame, 0, frame.length - 1, command)
    }
    expect(scan('{"cmd":"PUSH","queue":"q","data":1}')).toBeNull()
    expect(scan('{"cmd":"PUSH"}')).toMatchObject({ code: 'invalid' })
    expect(trace).toEqual([])
    expect(scan('{"cmd":"PUSH","queue":"q","data":1}')).toBeNull()
    expect(trace).toEqual(['died'])
    expect(scan('{"cmd":"PULL","queue":"q"}')).toBeNull()
    const none = { seqs: new Float64Array(0), count: 0 }
    wrapped.reply(command, {} as ReplySlot).pulled({} as never, none, null)
    expect(trace).toEqual(['died', 'died', 'pulled'])
  })
})

function readerOf(trace: string[]): ShardReader {
  return {
    meta: () => trace.push('meta'),
    job: () => trace.push('job'),
    checkpointEnded: () => trace.push('checkpointEnded'),
    batch: () => trace.push('batch'),
  }
}
