// A storage that hangs, fails and refuses for as long as a test says so.

import {
  type Appended,
  type Batch,
  type CheckpointMade,
  type Claim,
  type Loaded,
  type ShardReader,
  type Storage,
  StorageFault,
} from '../../src/engine/storage-port.ts'
import type { FaultyCall } from './faulty-storage.ts'

type Spell = 'hang' | StorageFault

export class GatedStorage implements Storage {
  /** Every call, in order: `append 3`, `claim 1,2`. */
  readonly calls: string[] = []
  /** Appends whose bytes contain it are refused for good. */
  poison: string | null = null
  /** So many appends of each claim are not refused for good. */
  acceptedPerClaim = Number.POSITIVE_INFINITY
  /** These cannot be loaded. */
  readonly corrupt = new Set<number>()
  private readonly inner: Storage
  private readonly spells = new Map<FaultyCall, Spell>()
  private waiting: (() => void)[] = []
  private readonly appended = new WeakMap<Claim, number>()

  constructor(inner: Storage) {
    this.inner = inner
  }

  /** From now on these calls wait for `heal`. */
  hang(...calls: FaultyCall[]): void {
    for (const call of calls) this.spells.set(call, 'hang')
  }

  /** From now on these calls fail. */
  fail(code: string, retryable: boolean, ...calls: FaultyCall[]): void {
    for (const call of calls) this.spells.set(call, new StorageFault(code, 'as told', retryable))
  }

  /** All is well again, and what hangs goes on. */
  heal(): void {
    this.spells.clear()
    for (const goOn of this.waiting.splice(0)) goOn()
  }

  count(call: string): number {
    return this.calls.filter((each) => each.startsWith(call)).length
  }

  start(): Promise<void> {
    return this.inner.start()
  }

  stop(): Promise<void> {
    return this.inner.stop()
  }

  claim(shards: readonly number[]): Promise<readonly Claim[]> {
    return this.call('claim', shards.join(), () => this.inner.claim(shards))
  }

  release(claim: Claim): Promise<void> {
    return this.call('release', claim.shard, () => this.inner.release(claim))
  }

  load(claim: Claim, into: ShardReader): Promise<Loaded> {
    return this.call('load', claim.shard, () => {
      if (this.corrupt.has(claim.shard)) throw new StorageFault('corrupt', 'as told', false)
      return this.inner.load(claim, into)
    })
  }

  append(claim: Claim, batch: Batch): Promise<Appended> {
    return this.call('append', claim.shard, () => {
      const nth = (this.appended.get(claim) ?? 0) + 1
      this.appended.set(claim, nth)
      const isPoison = this.poison !== null && batch.bytes.includes(this.poison)
      if (isPoison || nth > this.acceptedPerClaim) throw new StorageFault('22000', 'poison', false)
      return this.inner.append(claim, batch)
    })
  }

  reserve(claim: Claim, to: number): Promise<Appended> {
    return this.call('reserve', claim.shard, () => this.inner.reserve(claim, to))
  }

  checkpoint(claim: Claim, covered: number): Promise<CheckpointMade | 'fenced'> {
    return this.call('checkpoint', claim.shard, () => this.inner.checkpoint(claim, covered))
  }

  emptySide(claim: Claim, side: number): Promise<boolean> {
    return this.call('emptySide', claim.shard, () => this.inner.emptySide(claim, side))
  }

  private async call<T>(
    name: FaultyCall,
    what: string | number,
    then: () => Promise<T>,
  ): Promise<T> {
    this.calls.push(`${name} ${what}`)
    // As any database, it answers in a later turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve))
    const spell = this.spells.get(name)
    if (spell instanceof StorageFault) throw spell
    if (spell === 'hang') await new Promise<void>((resolve) => this.waiting.push(resolve))
    return await then()
  }
}
