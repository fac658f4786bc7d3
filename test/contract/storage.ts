// What every implementation of the storage port keeps. `storageContract` makes the suite; each implementation has
// a file of its own that calls it.
//
// Tests share a store, each with shards of its own, so that a store may be slow to make.

import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Claim } from '../../src/engine/storage-port.ts'
import { plainBytesOf } from '../../src/storage/record-batch.ts'
import { batchAt, Collector, textBatch } from '../support/stored-shard.ts'
import { append, Bench, forGood, patiently, read, type StorageUnderTest } from './storage-bench.ts'
import { checkpoints, emptySides } from './storage-checkpoints.ts'

export type { StorageUnderTest } from './storage-bench.ts'

export function storageContract(name: string, make: () => Promise<StorageUnderTest>): void {
  describe(name, () => {
    const bench = new Bench(make)

    beforeEach(() => bench.haveShards())
    afterEach(() => bench.stopWorkers())
    afterAll(() => bench.stop())

    describe('a claim', () => claims(bench))
    describe('an append', () => appends(bench))
    describe('a load', () => loads(bench))
    describe('sequences', () => sequences(bench))
    describe('a checkpoint', () => checkpoints(bench))
    describe('an emptied side', () => emptySides(bench))
  })
}

function claims(bench: Bench): void {
  it('rises in epoch each time, whoever makes it', async () => {
    const first = await bench.owner()
    const second = await bench.owner(first.claim.shard)
    const [third] = await second.storage.claim([first.claim.shard])
    expect(second.claim.epoch).toBeGreaterThan(first.claim.epoch)
    expect(third?.epoch).toBeGreaterThan(second.claim.epoch)
  })

  it('of several shards takes those that may be taken', async () => {
    const shards = [bench.shard(), bench.shard(), bench.shard()]
    const there = await bench.otherNode()
    const other = await bench.worker(there)
    await other.claim([shards[1] as number])
    const storage = await bench.worker()
    const taken = await storage.claim(shards)
    expect(taken.map(({ shard }) => shard).sort()).toEqual([shards[0], shards[2]])
    expect(await storage.claim([])).toEqual([])
  })

  it('of a shard of a node that lives fails; when its lease is over it does not', async () => {
    const there = await bench.otherNode()
    const owned = await bench.owner(bench.shard(), there)
    const { shard } = owned.claim
    await append(owned, [1, 0, 'a'])
    const storage = await bench.worker()
    expect(await storage.claim([shard])).toEqual([])
    await append(owned, [2, 0, 'b'])
    await there.end()
    const [claim] = await storage.claim([shard])
    expect(claim?.epoch).toBeGreaterThan(owned.claim.epoch)
    const late = () => owned.storage.append(owned.claim, textBatch(3, 0, 'c'))
    expect(await patiently(late)).toBe('fenced')
  })

  it('knows whether the owner before was of another node', async () => {
    const there = await bench.otherNode()
    const { storage, claim } = await bench.owner()
    expect((await read({ storage, claim })).loaded.foreign).toBe(false)
    const neighbour = await bench.owner(claim.shard)
    expect((await read(neighbour)).loaded.foreign).toBe(false)
    await neighbour.storage.release(neighbour.claim)
    const stranger = await bench.owner(claim.shard, there)
    expect((await read(stranger)).loaded.foreign).toBe(true)
  })

  it('that is released is free at once, also for other nodes', async () => {
    const owned = await bench.owner()
    await append(owned, [1, 0, 'a'])
    await owned.storage.release(owned.claim)
    expect(await owned.storage.append(owned.claim, textBatch(2, 0, 'b'))).toBe('fenced')
    const next = await bench.owner(owned.claim.shard, await bench.otherNode())
    expect((await read(next)).records).toEqual(['a'])
  })

  it('that is not the newest one changes nothing', async () => {
    const old = await bench.owner()
    await append(old, [1, 0, 'a'], [2, 1, 'b'])
    const owned = await bench.owner(old.claim.shard)
    for (const { storage, claim } of [old, { storage: owned.storage, claim: old.claim }]) {
      const fenced = async (call: () => Promise<unknown>) =>
        expect(await patiently(call)).toBe('fenced')
      await fenced(() => storage.append(claim, textBatch(3, 1, 'x')))
      await fenced(() => storage.append(claim, textBatch(2, 1, 'b')))
      await fenced(() => storage.reserve(claim, 5000))
      await fenced(() => storage.checkpoint(claim, 1))
      expect(await patiently(() => storage.emptySide(claim, 0))).toBe(false)
      const loading = patiently(() => storage.load(claim, new Collector()))
      await expect(loading).rejects.toMatchObject(forGood)
      await patiently(() => storage.release(claim))
    }
    const { records, loaded } = await read(owned)
    expect(records).toEqual(['a', 'b'])
    expect(loaded.reservedTo).toBe(1)
    await append(owned, [3, 1, 'c'])
    expect(await (await bench.worker(await bench.otherNode())).claim([owned.claim.shard])).toEqual(
      [],
    )
  })

  it('outlives the worker that made it', async () => {
    const owned = await bench.owner()
    await append(owned, [1, 0, 'a'])
    await bench.stopWorkers()
    const stranger = await bench.worker(await bench.otherNode())
    expect(await stranger.claim([owned.claim.shard])).toEqual([])
    const next = await bench.owner(owned.claim.shard)
    expect((await read(next)).records).toEqual(['a'])
  })
}

function appends(bench: Bench): void {
  it('is stored once, however often it is repeated', async () => {
    const owned = await bench.owner()
    await append(owned, [1, 0, 'a', 'b'], [1, 0, 'a', 'b'], [2, 0, 'c'], [1, 0, 'a', 'b'])
    await append(owned, [2, 0, 'c'], [3, 1, 'd'], [3, 1, 'd'])
    const { records, loaded } = await read(owned)
    expect(records).toEqual(['a', 'b', 'c', 'd'])
    expect(loaded.position).toBe(3)
  })

  it('is stored byte for byte, of any size', async () => {
    const owned = await bench.owner()
    const large = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 8)) & 255))
    const bytes = [Buffer.alloc(0), Buffer.from([0, 92, 255, 39]), large]
    const batch = batchAt(1, 0, bytes)
    await owned.storage.append(owned.claim, batch)
    const stored: Buffer[] = []
    const into = new Collector()
    into.batch = (given) => void stored.push(Buffer.from(given))
    const loaded = await owned.storage.load(owned.claim, into)
    expect(stored).toHaveLength(1)
    expect(stored[0]?.equals(batch.bytes)).toBe(true)
    expect(batch.bytes.length).toBeLessThan(plainBytesOf(batch.bytes))
    expect(loaded.journalBytes).toBe(plainBytesOf(batch.bytes))
  })

  it('leaves its bytes to the caller when it is done', async () => {
    const owned = await bench.owner()
    const batch = textBatch(1, 0, 'a')
    await owned.storage.append(owned.claim, batch)
    batch.bytes.fill(0)
    expect((await read(owned)).records).toEqual(['a'])
  })

  it('at a position that an owner before has filled is refused for good', async () => {
    const old = await bench.owner()
    await append(old, [1, 0, 'theirs'])
    const owned = await bench.owner(old.claim.shard)
    const mine = textBatch(1, 0, 'mine')
    await expect(owned.storage.append(owned.claim, mine)).rejects.toMatchObject(forGood)
    expect((await read(owned)).records).toEqual(['theirs'])
  })

  it('that leaves a gap is refused for good', async () => {
    const owned = await bench.owner()
    await append(owned, [1, 0, 'a'])
    const far = textBatch(3, 0, 'c')
    await expect(owned.storage.append(owned.claim, far)).rejects.toMatchObject(forGood)
    expect((await read(owned)).records).toEqual(['a'])
    await append(owned, [2, 1, 'b'], [3, 0, 'c'])
    expect((await read(owned)).records).toEqual(['a', 'b', 'c'])
  })

  it('to one shard has nothing to do with those to others', async () => {
    const storage = await bench.worker()
    const shards = [bench.shard(), bench.shard()]
    const taken = await storage.claim(shards)
    const batch = (claim: Claim) => textBatch(1, 0, `of ${claim.shard}`)
    await Promise.all(taken.map((claim) => storage.append(claim, batch(claim))))
    for (const claim of taken) {
      expect((await read({ storage, claim })).records).toEqual([`of ${claim.shard}`])
    }
  })
}

function loads(bench: Bench): void {
  it('of a shard that nobody wrote to gives nothing', async () => {
    const owned = await bench.owner()
    const { calls, loaded } = await read(owned)
    expect(calls).toEqual(['checkpointEnded'])
    expect(loaded).toMatchObject({
      position: 0,
      otherSideEmpty: true,
      journalBytes: 0,
      checkpointBytes: 0,
      reservedTo: 1,
      foreign: false,
    })
    expect([0, 1]).toContain(loaded.side)
  })

  it('gives both sides in order of position, and goes on where the newest is', async () => {
    const owned = await bench.owner()
    await append(owned, [1, 0, 'a'], [2, 1, 'b'], [3, 1, 'c'])
    const { records, calls, loaded } = await read(owned)
    expect(records).toEqual(['a', 'b', 'c'])
    expect(calls).toEqual(['checkpointEnded', 'batch'])
    expect(loaded).toMatchObject({ position: 3, side: 1, otherSideEmpty: false })
    await append(owned, [4, 0, 'd'])
    expect((await read(owned)).loaded).toMatchObject({ position: 4, side: 0 })
  })

  it('by the next owner gives the same', async () => {
    const owned = await bench.owner()
    await append(owned, [1, 0, 'a'], [2, 0, 'b'])
    const next = await bench.owner(owned.claim.shard)
    await append(next, [3, 0, 'c'])
    const { records, loaded } = await read(await bench.owner(owned.claim.shard))
    expect(records).toEqual(['a', 'b', 'c'])
    expect(loaded).toMatchObject({ position: 3, side: 0, otherSideEmpty: true })
  })

  it('of many batches gives each once', async () => {
    const owned = await bench.owner()
    const count = 150
    for (let i = 1; i <= count; i++) await append(owned, [i, i % 2, `${i}`])
    const { records } = await read(owned)
    expect(records).toEqual(Array.from({ length: count }, (_, i) => `${i + 1}`))
  })

  it('finds what was damaged', async () => {
    const owned = await bench.owner()
    await append(owned, [1, 0, 'a'], [2, 0, 'b'.repeat(100)], [3, 0, 'c'])
    await bench.store?.damage(owned.claim.shard, 2)
    const corrupt = { ...forGood, code: 'corrupt' }
    await expect(read(owned)).rejects.toMatchObject(corrupt)
  })

  it('fails with what its reader throws', async () => {
    const owned = await bench.owner()
    await append(owned, [1, 0, 'a'])
    const bad = new Collector()
    const oops = new Error('oops')
    bad.batch = () => {
      throw oops
    }
    await expect(owned.storage.load(owned.claim, bad)).rejects.toBe(oops)
    expect((await read(owned)).records).toEqual(['a'])
  })
}

function sequences(bench: Bench): void {
  it('that were reserved stay so, for every later owner', async () => {
    const owned = await bench.owner()
    expect(await owned.storage.reserve(owned.claim, 2 ** 40)).toBe('durable')
    expect(await owned.storage.reserve(owned.claim, 1000)).toBe('durable')
    const next = await bench.owner(owned.claim.shard)
    expect((await read(next)).loaded.reservedTo).toBe(2 ** 40)
  })
}
