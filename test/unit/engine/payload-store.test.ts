import { beforeEach, describe, expect, it } from 'vitest'
import { seqOfId } from '../../../src/engine/job-id.ts'
import { rowOf } from '../../../src/engine/job-store.ts'
import { PayloadStore, SLAB_BYTES } from '../../../src/engine/payload-store.ts'
import { SpareMemory } from '../../../src/engine/spare-memory.ts'
import { EngineHarness, queueOfShard } from '../../support/engine-harness.ts'

describe('the payload store', () => {
  let store: PayloadStore

  beforeEach(() => {
    store = new PayloadStore()
  })

  function put(text: string, seq = 0): { slab: number; text: () => string; release: () => void } {
    const bytes = Buffer.from(text)
    store.put(bytes, 0, bytes.length, seq, 1)
    const { slabNo, offset } = store
    store.addLive(slabNo, bytes.length)
    return {
      slab: slabNo,
      text: () => store.bytesOf(slabNo).toString('utf8', offset, offset + bytes.length),
      release: () => store.release(slabNo, bytes.length),
    }
  }

  it('keeps many small payloads in one slab', () => {
    const all = Array.from({ length: 100 }, (_, i) => put(`text ${i}`, i))
    expect(new Set(all.map((each) => each.slab)).size).toBe(1)
    expect(all.map((each) => each.text())).toEqual(all.map((_, i) => `text ${i}`))
    expect(store.heldBytes).toBe(SLAB_BYTES)
  })

  it('writes from the start again when nothing of the slab is live', () => {
    for (let i = 0; i < 50; i++) put('x'.repeat(SLAB_BYTES / 8)).release()
    expect(store.heldBytes).toBe(SLAB_BYTES)
  })

  it('gives a large payload a slab of its own size, and gives it up with it', () => {
    const large = put('x'.repeat(SLAB_BYTES / 2))
    expect(store.heldBytes).toBe(SLAB_BYTES / 2)
    large.release()
    expect(store.heldBytes).toBe(0)
  })

  it('takes no spare slab that is too small for a payload', () => {
    const spare = new SpareMemory(0)
    store = new PayloadStore(spare)
    // Large slabs from now on.
    put('x'.repeat(32 * SLAB_BYTES))
    spare.giveSlab(Buffer.alloc(2 * SLAB_BYTES))
    spare.giveSlab(Buffer.alloc(SLAB_BYTES))
    const text = 'y'.repeat(SLAB_BYTES + 1)
    expect(put(text).text() === text).toBe(true)
    expect(spare.bytes).toBe(SLAB_BYTES)
  })

  it('does not hold what was released', () => {
    const all = Array.from({ length: 1000 }, (_, i) => put('y'.repeat(5000), i))
    expect(store.heldBytes).toBeGreaterThanOrEqual(5_000_000)
    for (const each of all) each.release()
    // Slabs had grown to twice the least size; the current one stays.
    expect(store.heldBytes).toBeLessThanOrEqual(2 * SLAB_BYTES)
    expect(put('again').text()).toBe('again')
  })

  it('offers a full slab when it has become sparse, once', () => {
    const all = Array.from({ length: 100 }, (_, i) => put('z'.repeat(5000), i))
    const inFirst = all.filter((each) => each.slab === all[0]?.slab)
    for (const each of inFirst.slice(1)) each.release()
    expect(store.sparse).toEqual([all[0]?.slab])
  })

  it('offers a slab of its own that is sparse from the start', () => {
    const frame = Buffer.alloc(SLAB_BYTES, 32)
    store.put(frame, 0, frame.length, 1, 10)
    store.addLive(store.slabNo, 10)
    expect(store.sparse).toEqual([store.slabNo])
  })
})

describe('compaction', () => {
  const name = queueOfShard(6)
  const held = (q: EngineHarness) => q.shards[6]?.state.payloads.heldBytes ?? 0
  const settle = (q: EngineHarness) => {
    for (let i = 0; i < 300; i++) q.settle()
  }

  it('keeps ten jobs out of a hundred thousand, byte for byte, in little memory', () => {
    const q = new EngineHarness({ retention: { count: 0 } })
    const ids: number[] = []
    for (let i = 0; i < 100; i++) {
      const jobs = Array.from({ length: 1000 }, (_, n) => ({ data: `${i} ${n} ${'ü'.repeat(40)}` }))
      ids.push(...q.send({ cmd: 'PUSHB', queue: name, jobs }).ids)
    }
    expect(held(q)).toBeGreaterThan(9_000_000)
    const kept = ids.filter((_, i) => i % 10_000 === 77)
    for (let i = 0; i < 100; i++) {
      const batch = q.pullIds(name)
      q.send({ cmd: 'ACKB', ids: batch.filter((id) => !kept.includes(id)) })
    }
    settle(q)
    expect(kept).toHaveLength(10)
    expect(held(q)).toBeLessThanOrEqual(4 * SLAB_BYTES)
    for (const id of kept) {
      const i = ids.indexOf(id)
      expect(q.job(id)?.data).toBe(`${Math.floor(i / 1000)} ${i % 1000} ${'ü'.repeat(40)}`)
    }
    for (const id of kept) q.ack(id, { result: 'last' })
    expect(held(q)).toBeLessThanOrEqual(4 * SLAB_BYTES)
  })

  it('moves nothing while jobs end in the order they came', () => {
    const q = new EngineHarness({ retention: { count: 0 } })
    const ids: number[] = []
    const jobs = Array.from({ length: 1000 }, () => ({ data: 'x'.repeat(90) }))
    for (let i = 0; i < 10; i++) ids.push(...q.send({ cmd: 'PUSHB', queue: name, jobs }).ids)
    const state = q.shardOf(name).state
    const placeOf = (id: number): unknown[] => {
      const page = state.jobs.get(seqOfId(id))
      return [page.slab[rowOf(seqOfId(id))], page.from[rowOf(seqOfId(id))]]
    }
    const places = ids.map(placeOf)
    for (let done = 0; done < ids.length; done += 100) {
      q.send({ cmd: 'PULLB', queue: name, count: 100 })
      q.send({ cmd: 'ACKB', ids: ids.slice(done, done + 100) })
      expect(ids.slice(done + 100).map(placeOf)).toEqual(places.slice(done + 100))
    }
  })

  it('moves results, too, of jobs whose data lie elsewhere', () => {
    const q = new EngineHarness({ retention: { count: 1e6 } })
    const text = (i: number) => `result ${i} ${'r'.repeat(900)}`
    const ids = Array.from({ length: 2000 }, (_, i) => q.push(name, `data ${i}`))
    for (let i = 0; i < 2; i++) q.pullIds(name)
    for (const [i, id] of ids.entries()) q.ack(id, { result: text(i) })
    const more = Array.from({ length: 2000 }, (_, i) => q.push(name, `${'d'.repeat(2000)} ${i}`))
    for (const id of more.filter((_, i) => i % 50 !== 0)) q.send({ cmd: 'CANCEL', id })
    settle(q)
    for (const [i, id] of ids.entries()) {
      if (i % 100 !== 0) continue
      expect(q.job(id)?.data).toBe(`data ${i}`)
      expect(q.send({ cmd: 'GETRESULT', id }).result).toBe(text(i))
    }
    for (const [i, id] of more.entries()) {
      if (i % 50 === 0) expect(q.job(id)?.data).toBe(`${'d'.repeat(2000)} ${i}`)
    }
    expect(held(q)).toBeLessThan(4_000_000)
  })

  it('does not keep what a client put between the jobs of a batch', () => {
    const q = new EngineHarness()
    const blanks = ' '.repeat(20_000)
    const jobs = Array.from({ length: 100 }, (_, i) => `${blanks}{"data":${i}}`)
    const { ids } = q.send(`{"cmd":"PUSHB","queue":"${name}","jobs":[${jobs.join(',')}]}`)
    settle(q)
    expect(held(q)).toBeLessThanOrEqual(256 * 1024)
    expect(ids.map((id) => q.job(id)?.data)).toEqual(ids.map((_, i) => i))
  })

  it('empties slabs of large batches of which a few jobs stay', () => {
    const q = new EngineHarness()
    const data = 'x'.repeat(100_000)
    const jobs = Array.from({ length: 100 }, () => ({ data }))
    const { ids } = q.send({ cmd: 'PUSHB', queue: name, jobs })
    for (const id of ids.slice(0, 98)) q.send({ cmd: 'CANCEL', id })
    settle(q)
    expect(held(q)).toBeLessThanOrEqual(4 * SLAB_BYTES)
    expect(ids.slice(98).map((id) => q.job(id)?.data === data)).toEqual([true, true])
  })
})
