// The part of the contract of the storage port that is about checkpoints and the two sides of the journal.

import { expect, it } from 'vitest'
import { stateNames } from '../../src/engine/job-store.ts'
import { dumpState } from '../../src/engine/state-dump.ts'
import { batchAt, LivingShard, restoreOf, rowsOf, sortedById } from '../support/stored-shard.ts'
import { append, type Bench, forGood, type Owned, read } from './storage-bench.ts'

const storedStates = stateNames.filter((name) => name !== 'unknown')

/** Stores what the shard has recorded since, in batches of a few records; returns the last position. */
async function store(owned: Owned, living: LivingShard, from: number, side: number) {
  const records = living.newRecords()
  let position = from
  for (let at = 0; at < records.length; at += 7) {
    const batch = batchAt(position, side, records.slice(at, at + 7))
    expect(await owned.storage.append(owned.claim, batch)).toBe('durable')
    position++
  }
  return position - 1
}

async function restored(owned: Owned): Promise<string> {
  const restore = restoreOf(owned.claim.shard)
  await owned.storage.load(owned.claim, restore)
  return dumpState(restore.state)
}

async function living(bench: Bench): Promise<Owned & { living: LivingShard }> {
  const owned = await bench.owner()
  return { ...owned, living: new LivingShard(owned.claim.shard) }
}

export function checkpoints(bench: Bench): void {
  it('and the journal behind it are the shard', async () => {
    const owned = await living(bench)
    const { storage, claim, living: shard } = owned
    shard.live(1)
    const covered = await store(owned, shard, 1, 0)
    const rows = rowsOf(shard.state)
    const made = await storage.checkpoint(claim, covered)
    expect(made).toMatchObject({ generation: 1, jobs: rows.length })
    shard.live(2)
    const last = await store(owned, shard, covered + 1, 0)
    const { calls, rows: loadedRows, loaded } = await read(owned)
    expect(calls).toEqual(['meta', 'job', 'checkpointEnded', 'batch'])
    expect(sortedById(loadedRows)).toEqual(rows)
    expect(new Set(rows.map((row) => row.state))).toEqual(new Set(storedStates))
    expect(loaded.position).toBe(last)
    expect(loaded.checkpointBytes).toBeGreaterThan(0)
    expect(loaded.checkpointBytes).toBe(made === 'fenced' ? 0 : made.bytes)
    expect(await restored(owned)).toBe(shard.dump())
    expect(await restored(await bench.owner(claim.shard))).toBe(shard.dump())
  })

  it('stands on the one before', async () => {
    const owned = await living(bench)
    const { storage, claim, living: shard } = owned
    let last = 0
    for (let round = 1; round <= 4; round++) {
      shard.live(round)
      last = await store(owned, shard, last + 1, 0)
      expect(await storage.checkpoint(claim, last)).toMatchObject({ generation: round })
      expect(await restored(owned)).toBe(shard.dump())
    }
    const { calls, loaded } = await read(owned)
    expect(calls).toEqual(['meta', 'job', 'checkpointEnded'])
    expect(loaded).toMatchObject({ position: last, journalBytes: 0 })
  })

  it('of less than everything leaves the rest to the journal', async () => {
    const owned = await living(bench)
    const { storage, claim, living: shard } = owned
    shard.live(1)
    const last = await store(owned, shard, 1, 0)
    for (const covered of [1, Math.floor(last / 2), last - 1]) {
      expect(await storage.checkpoint(claim, covered)).toMatchObject({})
      expect(await restored(owned)).toBe(shard.dump())
      expect((await read(owned)).loaded.position).toBe(last)
    }
  })

  it('that is asked for again, its answer lost, does no harm', async () => {
    const owned = await living(bench)
    const { storage, claim, living: shard } = owned
    shard.live(1)
    const covered = await store(owned, shard, 1, 0)
    await storage.checkpoint(claim, covered)
    shard.live(2)
    await store(owned, shard, covered + 1, 1)
    expect(await storage.checkpoint(claim, covered)).not.toBe('fenced')
    expect(await restored(owned)).toBe(shard.dump())
  })

  it('of what is not stored is refused for good', async () => {
    const owned = await living(bench)
    const { storage, claim, living: shard } = owned
    shard.live(1)
    const last = await store(owned, shard, 1, 0)
    await expect(storage.checkpoint(claim, last + 1)).rejects.toMatchObject(forGood)
    expect((await read(owned)).calls).toEqual(['checkpointEnded', 'batch'])
  })

  it('of an empty shard has no jobs', async () => {
    const owned = await living(bench)
    const { storage, claim, living: shard } = owned
    shard.engine.pull(shard.queue)
    shard.engine.send({ cmd: 'PAUSE', queue: shard.queue })
    const last = await store(owned, shard, 1, 0)
    expect(await storage.checkpoint(claim, last)).toMatchObject({ jobs: 0 })
    expect(await restored(owned)).toBe(shard.dump())
  })
}

export function emptySides(bench: Bench): void {
  it('was covered by a checkpoint', async () => {
    const owned = await living(bench)
    const { storage, claim, living: shard } = owned
    shard.live(1)
    const covered = await store(owned, shard, 1, 0)
    shard.live(2)
    await store(owned, shard, covered + 1, 1)
    await storage.checkpoint(claim, covered)
    expect((await read(owned)).loaded.otherSideEmpty).toBe(false)
    expect(await storage.emptySide(claim, 0)).toBe(true)
    expect((await read(owned)).loaded).toMatchObject({ side: 1, otherSideEmpty: true })
    expect(await restored(owned)).toBe(shard.dump())
  })

  it('is not one with anything that no checkpoint covers', async () => {
    const owned = await living(bench)
    const { storage, claim, living: shard } = owned
    shard.live(1)
    const last = await store(owned, shard, 1, 0)
    expect(await storage.emptySide(claim, 0)).toBe(false)
    await storage.checkpoint(claim, last - 1)
    expect(await storage.emptySide(claim, 0)).toBe(false)
    expect(await restored(owned)).toBe(shard.dump())
  })

  it('may have been empty', async () => {
    const owned = await bench.owner()
    expect(await owned.storage.emptySide(owned.claim, 1)).toBe(true)
    await append(owned, [1, 0, 'a'])
    expect(await owned.storage.emptySide(owned.claim, 1)).toBe(true)
    expect((await read(owned)).records).toEqual(['a'])
  })

  it('is used again, turn by turn', async () => {
    const owned = await living(bench)
    const { storage, claim, living: shard } = owned
    let last = 0
    for (let round = 1; round <= 4; round++) {
      shard.live(round)
      last = await store(owned, shard, last + 1, round % 2)
      await storage.checkpoint(claim, last)
      expect(await storage.emptySide(claim, 1 - (round % 2))).toBe(true)
    }
    // Both are empty then: positions go on all the same.
    for (const side of [0, 1]) expect(await storage.emptySide(claim, side)).toBe(true)
    const next = await bench.owner(claim.shard)
    expect((await read(next)).loaded).toMatchObject({ position: last, otherSideEmpty: true })
    shard.live(5)
    await store(next, shard, last + 1, 0)
    expect(await restored(next)).toBe(shard.dump())
  })
}
