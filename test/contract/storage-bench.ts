// What the contract of the storage port is tried on: a store, its nodes and their workers, and shards that no other
// test uses.

import { expect } from 'vitest'
import { limits } from '../../src/engine/limits.ts'
import {
  type Claim,
  type Loaded,
  type Storage,
  StorageFault,
} from '../../src/engine/storage-port.ts'
import { Collector, textBatch } from '../support/stored-shard.ts'

export interface NodeUnderTest {
  /** A worker process of it, started. Whoever asked stops it. */
  worker(): Promise<Storage>
  /** Its lease is over: anybody may take what it owns. */
  end(): Promise<void>
}

export interface StorageUnderTest {
  /** A node that lives. */
  node(): Promise<NodeUnderTest>
  /** Changes a bit of the batch that is stored there. */
  damage(shard: number, position: number): Promise<void>
  stop(): Promise<void>
}

const SHARDS_PER_TEST_MAX = 3
/** Calls until one is answered. */
const PATIENCE = 20

/** An owner and what it claimed. */
export interface Owned {
  readonly storage: Storage
  readonly claim: Claim
}

export class Bench {
  store: StorageUnderTest | null = null
  here: NodeUnderTest | null = null
  private readonly make: () => Promise<StorageUnderTest>
  private readonly workers: Storage[] = []
  private nextShard = 0

  constructor(make: () => Promise<StorageUnderTest>) {
    this.make = make
  }

  /** Enough that no other test uses. */
  async haveShards(): Promise<void> {
    if (this.store !== null && this.nextShard + SHARDS_PER_TEST_MAX <= limits.shards) return
    await this.stop()
    this.store = await this.make()
    this.here = await this.store.node()
    this.nextShard = 0
  }

  async stop(): Promise<void> {
    await this.store?.stop()
    this.store = null
  }

  async worker(node: NodeUnderTest | null = this.here): Promise<Storage> {
    if (node === null) throw new Error('there is no node')
    const worker = await node.worker()
    this.workers.push(worker)
    return worker
  }

  otherNode(): Promise<NodeUnderTest> {
    if (this.store === null) throw new Error('there is no store')
    return this.store.node()
  }

  /** One that no other test uses. */
  shard(): number {
    return this.nextShard++
  }

  async owner(shard = this.shard(), node = this.here): Promise<Owned> {
    const storage = await this.worker(node)
    const [claim] = await storage.claim([shard])
    if (claim === undefined) throw new Error(`shard ${shard} was not claimed`)
    return { storage, claim }
  }

  async stopWorkers(): Promise<void> {
    for (const worker of this.workers.splice(0)) await worker.stop()
  }
}

export async function read({ storage, claim }: Owned): Promise<Collector & { loaded: Loaded }> {
  const into = new Collector()
  const loaded = await storage.load(claim, into)
  return Object.assign(into, { loaded })
}

export async function append(
  { storage, claim }: Owned,
  ...batches: Parameters<typeof textBatch>[]
) {
  for (const batch of batches) {
    expect(await storage.append(claim, textBatch(...batch))).toBe('durable')
  }
}

export const forGood = { name: 'StorageFault', retryable: false }

/** What happens to an owner that was replaced may begin with the end of its sessions: it asks again, as it must. */
export async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call()
    } catch (fault) {
      const isOver = attempt === PATIENCE || !(fault instanceof StorageFault) || !fault.retryable
      if (isOver) throw fault
    }
  }
}
