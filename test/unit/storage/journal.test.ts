import { beforeEach, describe, expect, it } from 'vitest'
import { RecordKind } from '../../../src/engine/recorder.ts'
import { StorageFault } from '../../../src/engine/storage-port.ts'
import { Backlog } from '../../../src/storage/backlog.ts'
import { Journal, type JournalListener } from '../../../src/storage/journal.ts'
import { HEADER_BYTES } from '../../../src/storage/record-batch.ts'
import { AppendDesk, recordsOf } from '../../support/append-desk.ts'
import { ManualDelay } from '../../support/manual-delay.ts'

const claim = { shard: 5, epoch: 3 }
const loaded = { position: 40, side: 1, journalBytes: 1000 }

let desk: AppendDesk
let time: ManualDelay
let backlog: Backlog
let told: string[]
let ended: number[]
let journal: Journal

let listener: JournalListener

function make(batchBytesMax?: number): Journal {
  return new Journal({
    claim,
    storage: desk,
    loaded,
    backlog,
    listener,
    delay: time.delay,
    random: () => 0.5,
    ...(batchBytesMax === undefined ? {} : { batchBytesMax }),
  })
}

beforeEach(() => {
  desk = new AppendDesk()
  time = new ManualDelay()
  backlog = new Backlog(1000)
  told = []
  ended = []
  listener = {
    durable: (shard) => void told.push(`durable ${shard} ${journal.durableMark}`),
    stalled: (shard, fault) => void told.push(`stalled ${shard} ${fault.code}`),
    resumed: (shard) => void told.push(`resumed ${shard}`),
    fenced: (shard) => void told.push(`fenced ${shard}`),
    failed: (shard, fault, isFound) => void told.push(`failed ${shard} ${fault.code} ${isFound}`),
    ended: (shard) => void ended.push(shard),
  }
  journal = make()
})

function put(...records: string[]): void {
  for (const record of records) journal.append(Buffer.from(record))
}

function under(): string[] {
  return desk.batch === null ? [] : recordsOf(desk.batch.bytes)
}

describe('a journal', () => {
  it('does not part deliveries from what they tell of, nor from the removal behind them', async () => {
    const record = (kind: number): Buffer => Buffer.concat([Buffer.from([kind]), Buffer.alloc(99)])
    const { pushed, deliveriesAdded, removed } = RecordKind
    journal = make(250 + HEADER_BYTES)
    const kinds = [pushed, pushed, deliveriesAdded, removed, removed, pushed, removed]
    for (const kind of kinds) journal.append(record(kind))
    journal.flush()
    const batches: number[] = []
    while (desk.batch !== null) {
      batches.push(desk.batch.count)
      await desk.settle('durable')
    }
    // Two would fit, but the third and the fourth are tied to the second.
    expect(batches).toEqual([4, 2, 1])
  })

  it('sends what it gathered when it is flushed, at the position behind the last one', async () => {
    put('a', 'b')
    expect(desk.batch).toBe(null)
    journal.flush()
    expect(desk.batch).toMatchObject({ position: 41, side: 1, count: 2 })
    expect([journal.mark, journal.durableMark]).toEqual([2, 0])
    await desk.settle('durable')
    expect([journal.mark, journal.durableMark, journal.lastPosition]).toEqual([2, 2, 41])
    expect(told).toEqual(['durable 5 2'])
    expect(desk.batch).toBe(null)
  })

  it('has one append under way; what is flushed meanwhile goes together', async () => {
    put('a')
    journal.flush()
    put('b')
    journal.flush()
    put('c')
    journal.flush()
    expect(desk.attempts).toHaveLength(1)
    await desk.settle('durable')
    expect(under()).toEqual(['b', 'c'])
    expect(desk.batch?.position).toBe(42)
    await desk.settle('durable')
    expect(told).toEqual(['durable 5 1', 'durable 5 3'])
  })

  it('does not send what nobody flushed', async () => {
    put('a')
    journal.flush()
    put('b')
    await desk.settle('durable')
    expect(desk.batch).toBe(null)
    journal.flush()
    expect(under()).toEqual(['b'])
  })

  it('flushed with nothing to send, sends nothing', () => {
    journal.flush()
    expect(desk.batch).toBe(null)
  })

  it('begins a new batch when the next record would make it too large, unless it is alone', async () => {
    journal = make(HEADER_BYTES + 2 * 14)
    put('0123456789', '0123456789', 'c', 'x'.repeat(100), 'd', 'e')
    journal.flush()
    const sizes: number[] = []
    while (desk.batch !== null) {
      sizes.push(desk.batch.count)
      await desk.settle('durable')
    }
    expect(sizes).toEqual([2, 1, 1, 2])
    expect(desk.records()[3]).toBe('x'.repeat(100))
  })

  it('has begun the next append when it tells that the last one is durable', async () => {
    put('a')
    journal.flush()
    put('b')
    journal.flush()
    const seen: string[][] = []
    listener.durable = () => seen.push(under())
    await desk.settle('durable')
    expect(seen).toEqual([['b']])
  })

  it('may be used from within what it tells', async () => {
    listener.durable = () => {
      if (journal.mark === 3) return
      put(`again ${journal.mark}`)
      journal.flush()
    }
    put('a')
    journal.flush()
    await desk.settle('durable')
    await desk.settle('durable')
    await desk.settle('durable')
    expect(desk.records()).toEqual(['a', 'again 1', 'again 2'])
  })
})

describe('a stall', () => {
  it('is told once, and the same append is repeated until it is over', async () => {
    put('a')
    journal.flush()
    const first = desk.batch
    for (let i = 0; i < 9; i++) {
      put(`behind ${i}`)
      journal.flush()
      await desk.settle('lost')
      expect(desk.batch).toBe(null)
      time.pass()
      expect(desk.batch).toBe(first)
    }
    expect(told).toEqual(['stalled 5 08006'])
    await desk.settle('durable')
    expect(told).toEqual(['stalled 5 08006', 'resumed 5', 'durable 5 1'])
    expect(
      desk.attempts
        .slice(0, 10)
        .every((each) => each.bytes.equals(desk.attempts[0]?.bytes as Buffer)),
    ).toBe(true)
    expect(under()).toHaveLength(9)
  })

  it('is waited for a little longer each time', async () => {
    put('a')
    journal.flush()
    for (let i = 0; i < 7; i++) {
      await desk.settle('lost')
      time.pass()
    }
    expect(time.asked).toEqual([30, 60, 120, 240, 375, 375, 375])
  })

  it('begins anew after it was over', async () => {
    put('a')
    journal.flush()
    await desk.settle('lost')
    time.pass()
    await desk.settle('durable')
    put('b')
    journal.flush()
    await desk.settle('lost')
    expect(told.filter((each) => each.startsWith('stalled'))).toHaveLength(2)
    expect(time.asked).toEqual([30, 30])
  })

  it('stores nothing twice when only the answer was lost', async () => {
    put('a')
    journal.flush()
    put('b')
    journal.flush()
    await desk.settle('lost-reply')
    time.pass()
    await desk.settle('durable')
    await desk.settle('durable')
    expect(desk.records()).toEqual(['a', 'b'])
    expect(journal.durableMark).toBe(2)
  })

  it('leaves the bytes of the append alone, whatever comes after', async () => {
    put('a')
    journal.flush()
    const bytes = desk.batch?.bytes as Buffer
    const before = Buffer.from(bytes)
    await desk.settle('lost')
    time.pass()
    await desk.settle('durable')
    put('something else', 'and more')
    journal.flush()
    await desk.settle('durable')
    expect(bytes.equals(before)).toBe(true)
  })
})

describe('a fenced journal', () => {
  it('says so, drops what it has and sends no more', async () => {
    put('a')
    journal.flush()
    put('b')
    journal.flush()
    await desk.settle('fenced')
    put('c')
    journal.flush()
    expect(desk.batch).toBe(null)
    expect(told).toEqual(['fenced 5'])
    expect([journal.mark, journal.durableMark]).toEqual([3, 0])
    expect([journal.pendingBytes, backlog.bytes]).toEqual([0, 0])
    expect(journal.isEnded).toBe(true)
    expect(ended).toEqual([journal.claim.shard])
  })
})

describe('a record that cannot be stored', () => {
  /** Refuses what holds a record that begins with "bad". */
  async function settleAll(): Promise<void> {
    while (desk.batch !== null) {
      const isBad = under().some((record) => record.startsWith('bad'))
      await desk.settle(isBad ? 'refused' : 'durable')
    }
  }

  it('is found, and everything before it is durable', async () => {
    for (let bad = 0; bad < 9; bad++) {
      desk = new AppendDesk()
      told = []
      journal = make()
      const records = Array.from({ length: 9 }, (_, i) => (i === bad ? `bad ${i}` : `good ${i}`))
      put(...records)
      journal.flush()
      put('behind it')
      journal.flush()
      await settleAll()
      expect(desk.records()).toEqual(records.slice(0, bad))
      expect(journal.durableMark).toBe(bad)
      expect(told.at(-1)).toBe('failed 5 22P05 true')
      expect([...desk.stored.keys()]).toEqual([...desk.stored.keys()].map((_, i) => 41 + i))
      expect(desk.attempts.length).toBeLessThan(10)
      expect([journal.pendingBytes, backlog.bytes]).toEqual([0, 0])
    }
  })

  it('alone in its batch is not tried twice', async () => {
    put('bad')
    journal.flush()
    await settleAll()
    expect(desk.attempts).toHaveLength(1)
    expect(told).toEqual(['failed 5 22P05 true'])
  })

  it('is looked for on the side that its batch went to', async () => {
    put('a', 'b', 'bad')
    journal.flush()
    journal.rotate(0)
    await settleAll()
    expect(desk.attempts.every((each) => each.side === 1)).toBe(true)
  })

  it('is not looked for in a batch that may have happened: parts of it would be stored again', async () => {
    put('a', 'bad')
    journal.flush()
    await desk.settle('lost-reply')
    time.pass()
    await desk.settle('refused')
    expect(desk.batch).toBe(null)
    expect(desk.records()).toEqual(['a', 'bad'])
    expect(journal.durableMark).toBe(0)
    expect(told.at(-1)).toBe('failed 5 22P05 false')
  })

  it('is found through stalls too', async () => {
    put('a', 'b', 'c', 'bad', 'e')
    journal.flush()
    await desk.settle('refused')
    await desk.settle('lost-reply')
    time.pass()
    await settleAll()
    expect(desk.records()).toEqual(['a', 'b', 'c'])
    expect(told.at(-1)).toBe('failed 5 22P05 true')
  })
})

describe('a rotation', () => {
  it('is of batches that are new; what is under way or repeated stays', async () => {
    put('a')
    journal.flush()
    put('b')
    journal.flush()
    journal.rotate(0)
    await desk.settle('lost')
    time.pass()
    await desk.settle('durable')
    await desk.settle('durable')
    expect(desk.attempts.map(({ position, side }) => [position, side])).toEqual([
      [41, 1],
      [41, 1],
      [42, 0],
    ])
  })
})

describe('the bytes that wait', () => {
  it('are counted until they are durable, for the journal and for the worker', async () => {
    const other = journal
    put('12345')
    other.flush()
    journal = make()
    put('1234567')
    expect([other.pendingBytes, journal.pendingBytes, backlog.bytes]).toEqual([9, 11, 20])
    await desk.settle('durable')
    expect([other.pendingBytes, journal.pendingBytes, backlog.bytes]).toEqual([0, 11, 11])
    expect(backlog.isFull).toBe(false)
    put('x'.repeat(1000))
    expect(backlog.isFull).toBe(true)
  })

  it('are counted behind the last checkpoint too', async () => {
    put('12345')
    journal.flush()
    expect(journal.journalBytes).toBe(1000)
    await desk.settle('durable')
    expect(journal.journalBytes).toBe(1000 + HEADER_BYTES + 9)
    journal.covered(1000)
    expect(journal.journalBytes).toBe(HEADER_BYTES + 9)
  })

  it('are what was gathered, while it is pending and when it is durable, however it is stored', async () => {
    put('x'.repeat(2000), 'y'.repeat(2000))
    journal.flush()
    const stored = desk.batch?.bytes.length as number
    expect(stored).toBeLessThan(200)
    expect([journal.pendingBytes, backlog.bytes]).toEqual([4008, 4008])
    await desk.settle('durable')
    expect([journal.pendingBytes, backlog.bytes]).toEqual([0, 0])
    expect(journal.journalBytes).toBe(1000 + HEADER_BYTES + 4008)
  })

  it('of a packed batch that is refused add up, part by part', async () => {
    const records = [1, 2, 3, 4, 5].map((n) => `${n}`.repeat(1000))
    put(...records)
    journal.flush()
    await desk.settle('refused')
    expect(under()).toEqual(records.slice(0, 2))
    await desk.settle('durable')
    expect([journal.pendingBytes, backlog.bytes]).toEqual([3012, 3012])
    while (desk.batch !== null) await desk.settle('durable')
    expect([journal.pendingBytes, backlog.bytes]).toEqual([0, 0])
    expect(desk.records()).toEqual(records)
  })
})

describe('an end', () => {
  it('by stop waits for the append under way, and tells what became of it', async () => {
    put('a')
    journal.flush()
    put('b')
    journal.flush()
    let stopped = false
    const done = journal.stop().then(() => {
      stopped = true
    })
    await Promise.resolve()
    expect(stopped).toBe(false)
    await desk.settle('durable')
    await done
    expect(told).toEqual(['durable 5 1'])
    expect(desk.batch).toBe(null)
    expect([journal.pendingBytes, backlog.bytes]).toEqual([0, 0])
  })

  it('by stop does not wait for a retry', async () => {
    put('a')
    journal.flush()
    await desk.settle('lost')
    await journal.stop()
    expect(time.count).toBe(0)
    expect(backlog.bytes).toBe(0)
  })

  it('by stop during a fault sends nothing again', async () => {
    put('a', 'b')
    journal.flush()
    const stopped = journal.stop()
    await desk.settle('refused')
    await stopped
    expect(desk.attempts).toHaveLength(1)
    expect(told).toEqual([])
    await journal.stop()
    expect(ended).toEqual([journal.claim.shard])
  })

  it('drained: everything gathered is durable, flushed or not', async () => {
    put('a')
    const drained = journal.drained()
    put('later')
    await desk.settle('durable')
    expect(await drained).toBe(true)
    expect(desk.batch).toBe(null)
    const all = journal.drained()
    await desk.settle('durable')
    expect(await all).toBe(true)
    expect(await journal.drained()).toBe(true)
  })

  it('drained: or it is over', async () => {
    put('a')
    journal.flush()
    put('b')
    const drained = journal.drained()
    const stopped = journal.stop()
    await desk.settle('durable')
    expect(await drained).toBe(false)
    await stopped
    expect(await journal.drained()).toBe(false)
  })
})

it('an error that is no fault of storage is a bug', async () => {
  const bug = new Error('oops')
  const uncaught: unknown[] = []
  const hear = (error: unknown) => void uncaught.push(error)
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', hear)
  const storage = { append: () => Promise.reject(bug) }
  const options = { claim, storage, loaded, backlog, listener, delay: time.delay, random: () => 0 }
  journal = new Journal(options)
  put('a')
  journal.flush()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', hear)
  for (const other of others) process.on('unhandledRejection', other)
  expect(uncaught).toEqual([bug])
  expect(bug).not.toBeInstanceOf(StorageFault)
})
