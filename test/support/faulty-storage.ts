// A storage whose calls fail when a plan says so: before anything happened, for good, or after it all happened.

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

export type FaultKind = 'transient' | 'for-good' | 'reply-lost'
export type FaultyCall = Exclude<keyof Storage, 'start' | 'stop'>

/** Which calls fail; shared by all workers of a test. */
export class FaultPlan {
  /** Calls so far, by name. */
  readonly calls: FaultyCall[] = []
  /** The first call that fails; the first of all is 1. */
  failAt = 0
  /** Calls in a row that fail. */
  times = 1
  kind: FaultKind = 'transient'

  next(call: FaultyCall): FaultKind | null {
    this.calls.push(call)
    const since = this.calls.length - this.failAt
    return since >= 0 && since < this.times ? this.kind : null
  }
}

export class FaultyStorage implements Storage {
  private readonly inner: Storage
  private readonly plan: Pick<FaultPlan, 'next'>

  constructor(inner: Storage, plan: Pick<FaultPlan, 'next'>) {
    this.inner = inner
    this.plan = plan
  }

  start(): Promise<void> {
    return this.inner.start()
  }

  stop(): Promise<void> {
    return this.inner.stop()
  }

  claim(shards: readonly number[]): Promise<readonly Claim[]> {
    return this.call('claim', () => this.inner.claim(shards))
  }

  release(claim: Claim): Promise<void> {
    return this.call('release', () => this.inner.release(claim))
  }

  load(claim: Claim, into: ShardReader): Promise<Loaded> {
    return this.call('load', () => this.inner.load(claim, into))
  }

  append(claim: Claim, batch: Batch): Promise<Appended> {
    return this.call('append', () => this.inner.append(claim, batch))
  }

  reserve(claim: Claim, to: number): Promise<Appended> {
    return this.call('reserve', () => this.inner.reserve(claim, to))
  }

  checkpoint(claim: Claim, covered: number): Promise<CheckpointMade | 'fenced'> {
    return this.call('checkpoint', () => this.inner.checkpoint(claim, covered))
  }

  emptySide(claim: Claim, side: number): Promise<boolean> {
    return this.call('emptySide', () => this.inner.emptySide(claim, side))
  }

  private async call<T>(name: FaultyCall, action: () => Promise<T>): Promise<T> {
    const kind = this.plan.next(name)
    if (kind === 'for-good') throw new StorageFault('22P05', `${name} is refused`, false)
    if (kind === 'transient') throw new StorageFault('08001', `${name} did not happen`, true)
    const result = await action()
    if (kind === 'reply-lost') throw new StorageFault('08006', `${name} may have happened`, true)
    return result
  }
}
