import { beforeEach, describe, expect, it } from 'vitest'
import { dumpState } from '../../../src/engine/state-dump.ts'
import type { CheckpointMade, Storage } from '../../../src/engine/storage-port.ts'
import { Backlog } from '../../../src/storage/backlog.ts'
import { Checkpoints } from '../../../src/storage/checkpoints.ts'
import { Journal, type JournalListener } from '../../../src/storage/journal.ts'
import { MemoryStorage } from '../../../src/storage/memory/memory-storage.ts'
import { MemoryStore } from '../../../src/storage/memory/memory-store.ts'
import { type FaultKind, type FaultyCall, FaultyStorage } from '../../support/faulty-storage.ts'
import { ManualDelay } from '../../support/manual-delay.ts'
import { LivingShard, restoreOf } from '../../support/stored-shard.ts'

const BYTES_MIN = 500

let store: MemoryStore
let calls: FaultyCall[]
/** What the next calls of that name do. */
let faults: Map<FaultyCall, FaultKind[]>
/** Holds back calls of that name until it resolves. */
let gate: { call: FaultyCall; opened: Promise<void> } | null
let storage: Storage
let time: ManualDelay
let told: string[]
let checkpoints: Checkpoints

beforeEach(() => {
  store = new MemoryStore()
  calls = []
  faults = new Map()
  gate = null
  const memory = new MemoryStorage(store, { owner: 'worker', node: 'node' })
  const gated: Storage = Object.assign(Object.create(memory) as MemoryStorage, {
    checkpoint: async (...args: Parameters<Storage['checkpoint']>) => {
      if (gate?.call === 'checkpoint') await gate.opened
      return memory.checkpoint(...args)
    },
    emptySide: async (...args: Parameters<Storage['emptySide']>) => {
      if (gate?.call === 'emptySide') return false
      return memory.emptySide(...args)
    },
  })
  storage = new FaultyStorage(gated, {
    next: (call) => {
      calls.push(call)
      return faults.get(call)?.shift() ?? null
    },
  })
  time = new ManualDelay()
  told = []
  checkpoints = new Checkpoints({
    storage,
    bytesMin: BYTES_MIN,
    delay: time.delay,
    random: () => 0,
    listener: {
      checkpointMade: (shard, made: CheckpointMade) =>
        void told.push(`made ${shard} ${made.generation}`),
      checkpointFailed: (shard, fault) => void told.push(`failed ${shard} ${fault.code}`),
    },
  })
})

/** A shard with its journal, looked after. */
class Owned {
  readonly living: LivingShard
  readonly journal: Journal
  /** Of the journal alone. */
  readonly time: ManualDelay
  private round = 0

  private constructor(living: LivingShard, journal: Journal, time: ManualDelay) {
    this.living = living
    this.journal = journal
    this.time = time
  }

  static async claim(shard: number): Promise<Owned> {
    const [claim] = await storage.claim([shard])
    if (claim === undefined) throw new Error('not claimed')
    const loaded = await storage.load(claim, restoreOf(shard))
    const nothing = (): void => {}
    const listener: JournalListener = {
      durable: (shard) => checkpoints.look(shard),
      stalled: nothing,
      resumed: nothing,
      fenced: nothing,
      failed: nothing,
      ended: (shard) => checkpoints.remove(shard),
    }
    const backlog = new Backlog(1e9)
    const time = new ManualDelay()
    const { delay } = time
    const options = { claim, storage, loaded, backlog, listener, delay, random: () => 0 }
    const owned = new Owned(new LivingShard(shard), new Journal(options), time)
    checkpoints.add(owned.journal, loaded)
    return owned
  }

  /** Everything that its shard does is stored; a round is about 2 KB, packed 700 B. */
  async live(rounds = 1): Promise<void> {
    for (let i = 0; i < rounds; i++) this.living.live(this.round++)
    for (const record of this.living.newRecords()) this.journal.append(record)
    this.journal.flush()
    await settled()
  }

  async check(): Promise<void> {
    const restore = restoreOf(this.living.shard)
    await storage.load(this.journal.claim, restore)
    expect(dumpState(restore.state)).toBe(this.living.dump())
  }

  sizes(): number[] {
    return store.shard(this.living.shard).sides.map((side) => side.size)
  }
}

/** Until nothing moves but what waits for time or a gate. */
async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
}

function made(): number {
  return told.filter((each) => each.startsWith('made')).length
}

describe('a checkpoint', () => {
  it('is made when the journal is large enough, and the side that it covers is emptied', async () => {
    const owned = await Owned.claim(3)
    owned.living.engine.pull(owned.living.queue)
    await owned.live(0)
    expect(owned.journal.journalBytes).toBeGreaterThan(0)
    expect(told).toEqual([])
    await owned.live()
    expect(told).toEqual(['made 3 1'])
    expect(owned.journal.side).toBe(1)
    expect(owned.journal.journalBytes).toBe(0)
    expect(owned.sizes()).toEqual([0, 0])
    await owned.check()
  })

  it('is worth its while: the journal is larger than what the last one wrote', async () => {
    const owned = await Owned.claim(3)
    let written = 0
    for (let i = 0; i < 40; i++) {
      const before = made()
      await owned.live()
      if (made() > before) {
        const last = store.shard(3).checkpoint?.bytes ?? 0
        expect(owned.journal.journalBytes).toBe(0)
        written += last
      } else {
        expect(owned.journal.journalBytes).toBeLessThanOrEqual(
          Math.max(BYTES_MIN, store.shard(3).checkpoint?.bytes ?? 0),
        )
      }
    }
    expect(made()).toBeGreaterThan(3)
    expect(made()).toBeLessThan(20)
    expect(written).toBeGreaterThan(0)
    await owned.check()
  })

  it('goes from side to side', async () => {
    const owned = await Owned.claim(3)
    const sides: number[] = []
    for (let i = 0; i < 30 && sides.length < 4; i++) {
      const before = made()
      await owned.live()
      if (made() > before) sides.push(owned.journal.side)
      await owned.check()
    }
    expect(sides).toEqual([1, 0, 1, 0])
  })

  it('keeps no append waiting, and covers only what was there before it', async () => {
    const owned = await Owned.claim(3)
    let open = (): void => {}
    gate = { call: 'checkpoint', opened: new Promise((resolve) => (open = resolve)) }
    await owned.live()
    expect(calls.at(-1)).toBe('checkpoint')
    await owned.live()
    expect(owned.journal.durableMark).toBe(owned.journal.mark)
    const { journalBytes } = owned.journal
    open()
    await settled()
    expect(told).toEqual(['made 3 1'])
    expect(owned.journal.journalBytes).toBeLessThan(journalBytes)
    expect(owned.journal.journalBytes).toBeGreaterThan(0)
    expect(owned.sizes()).toEqual([0, 1])
    await owned.check()
  })

  it('is one at a time, in the order in which they fell due', async () => {
    const first = await Owned.claim(3)
    const second = await Owned.claim(4)
    let open = (): void => {}
    gate = { call: 'checkpoint', opened: new Promise((resolve) => (open = resolve)) }
    await first.live()
    await second.live()
    expect(calls.filter((call) => call === 'checkpoint')).toHaveLength(1)
    gate = null
    open()
    await settled()
    expect(told).toEqual(['made 3 1', 'made 4 1'])
  })

  it('of a shard that was loaded with a long journal is due at once', async () => {
    const owned = await Owned.claim(3)
    checkpoints.remove(3)
    await owned.live(2)
    expect(told).toEqual([])
    await Owned.claim(3)
    await settled()
    expect(told).toEqual(['made 3 1'])
  })

  it('does not go to a side that is not empty', async () => {
    const before = await Owned.claim(3)
    checkpoints.remove(3)
    await before.live()
    before.journal.rotate(1)
    before.living.engine.push(before.living.queue)
    await before.live(0)
    expect(before.sizes()).toEqual([1, 1])
    const owned = await Owned.claim(3)
    await settled()
    expect(told).toEqual(['made 3 1'])
    expect(owned.journal.side).toBe(1)
    expect(owned.sizes()).toEqual([0, 1])
  })
})

describe('a checkpoint that fails', () => {
  it('is told and tried again later, a little later each time; appends go on', async () => {
    const owned = await Owned.claim(3)
    faults.set('checkpoint', ['transient', 'for-good', 'reply-lost'])
    await owned.live()
    expect(told).toEqual(['failed 3 08001'])
    await owned.live()
    expect(calls.filter((call) => call === 'checkpoint')).toHaveLength(1)
    expect(owned.journal.durableMark).toBe(owned.journal.mark)
    time.pass()
    await settled()
    time.pass()
    await settled()
    expect(told).toEqual(['failed 3 08001', 'failed 3 22P05', 'failed 3 08006'])
    expect(time.asked).toEqual([1000, 2000, 4000])
    await owned.check()
    time.pass()
    await settled()
    expect(made()).toBe(1)
    expect(owned.sizes()[1 - owned.journal.side]).toBe(0)
    await owned.check()
  })

  it('of a shard that somebody else owns is not tried again', async () => {
    const owned = await Owned.claim(3)
    const other = new MemoryStorage(store, { owner: 'other', node: 'node' })
    let open = (): void => {}
    gate = { call: 'checkpoint', opened: new Promise((resolve) => (open = resolve)) }
    await owned.live()
    await other.claim([3])
    open()
    await settled()
    expect(told).toEqual([])
    expect(time.count).toBe(0)
    checkpoints.look(3)
    await settled()
    expect(calls.filter((call) => call === 'checkpoint')).toHaveLength(1)
  })
})

describe('a side that cannot be emptied yet', () => {
  it('is tried again, and is not rotated to meanwhile', async () => {
    const owned = await Owned.claim(3)
    gate = { call: 'emptySide', opened: Promise.resolve() }
    await owned.live()
    expect(made()).toBe(1)
    expect(owned.journal.side).toBe(1)
    expect(owned.sizes()[0]).toBeGreaterThan(0)
    for (let i = 0; i < 20 && made() < 3; i++) await owned.live()
    expect(made()).toBe(3)
    expect(owned.journal.side).toBe(1)
    await owned.check()
    gate = null
    expect(time.count).toBe(1)
    time.pass()
    await settled()
    expect(owned.sizes()[0]).toBe(0)
    for (let i = 0; i < 20 && made() < 4; i++) await owned.live()
    expect(owned.journal.side).toBe(0)
    await owned.check()
  })

  it('for a fault is told, and tried again', async () => {
    const owned = await Owned.claim(3)
    faults.set('emptySide', ['transient'])
    await owned.live()
    expect(told).toEqual(['made 3 1', 'failed 3 08001'])
    time.pass()
    await settled()
    expect(owned.sizes()).toEqual([0, 0])
  })
})

describe('the end', () => {
  it('of a journal that is waited for ends the wait', async () => {
    const owned = await Owned.claim(3)
    faults.set('append', ['transient'])
    await owned.live()
    owned.time.pass()
    faults.set('append', ['transient'])
    await owned.live()
    expect(owned.journal.side).toBe(1)
    expect(owned.journal.durableMark).toBeLessThan(owned.journal.mark)
    await owned.journal.stop()
    await settled()
    expect(calls).not.toContain('checkpoint')
    expect(time.count).toBe(0)
  })

  it('of a shard here: what is under way is not counted any more', async () => {
    const owned = await Owned.claim(3)
    let open = (): void => {}
    gate = { call: 'checkpoint', opened: new Promise((resolve) => (open = resolve)) }
    await owned.live()
    const { journalBytes } = owned.journal
    checkpoints.remove(3)
    open()
    await settled()
    expect(told).toEqual([])
    expect(owned.journal.journalBytes).toBe(journalBytes)
    await owned.check()
  })

  it('of all waits for the one under way, and leaves no timer', async () => {
    const owned = await Owned.claim(3)
    const other = await Owned.claim(4)
    faults.set('checkpoint', ['transient'])
    await other.live()
    expect(time.count).toBe(1)
    let open = (): void => {}
    gate = { call: 'checkpoint', opened: new Promise((resolve) => (open = resolve)) }
    await owned.live()
    let stopped = false
    const done = checkpoints.stop().then(() => {
      stopped = true
    })
    await settled()
    expect(stopped).toBe(false)
    expect(time.count).toBe(0)
    open()
    await done
    await owned.live()
    expect(calls.filter((call) => call === 'checkpoint')).toHaveLength(2)
  })
})
