// One shard and its journal, owned by one worker after another over what survives: a server without sockets, whose
// storage fails as a plan says.
//
//   turn(frames) ─▶ shard ─▶ journal ─▶ storage          an answer is given out when its records are durable, else null
//
// A worker that was killed is only forgotten: what it had under way goes on, as with a process that hangs.

import { Command } from '../../src/engine/command.ts'
import { EventCounts } from '../../src/engine/event-counts.ts'
import { SlotHold } from '../../src/engine/held-slots.ts'
import { type JobPage, PAGE_BYTES } from '../../src/engine/job-store.ts'
import { opNames, routeOf } from '../../src/engine/op.ts'
import type { ItemRefusal } from '../../src/engine/ports.ts'
import { RateWindow } from '../../src/engine/rate-window.ts'
import { Shard } from '../../src/engine/shard.ts'
import type { ShardPorts } from '../../src/engine/shard-context.ts'
import type { ShardState } from '../../src/engine/shard-state.ts'
import { SpareMemory } from '../../src/engine/spare-memory.ts'
import { type Storage, StorageFault } from '../../src/engine/storage-port.ts'
import { noDeliveries } from '../../src/engine/webhook-ports.ts'
import { Backlog } from '../../src/storage/backlog.ts'
import { Checkpoints } from '../../src/storage/checkpoints.ts'
import type { Delay } from '../../src/storage/delay.ts'
import { Journal } from '../../src/storage/journal.ts'
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts'
import { MemoryStore } from '../../src/storage/memory/memory-store.ts'
import { JsonReply } from '../../src/transports/wire/reply-json.ts'
import { scanFrame } from '../../src/transports/wire/scan.ts'
import { type Answer, Pending, START_MS } from './engine-harness.ts'
import { restoreOf } from './stored-shard.ts'

export type Frame = Readonly<Record<string, unknown>> & { readonly cmd: string }

/** Makes the storage of a worker what a test wants of it. */
export type Spoil = (storage: Storage) => Storage

const SEQUENCES_PER_GRANT = 1000
const CHECKPOINT_BYTES_MIN = 300
const BOOTS_MAX = 100

interface Life {
  readonly storage: Storage
  readonly journal: Journal
  readonly checkpoints: Checkpoints
  readonly shard: Shard
}

export class DurableWorker {
  readonly store = new MemoryStore()
  readonly shard: number
  /** Workers that were started. */
  boots = 0
  private readonly spoil: Spoil
  private readonly command = new Command()
  private nowMs = START_MS
  private life: Life | null = null

  constructor(shard: number, spoil: Spoil) {
    this.shard = shard
    this.spoil = spoil
  }

  /** A new worker owns the shard; another one is started when it fails for good. */
  async start(): Promise<void> {
    for (let i = 0; i < BOOTS_MAX; i++) {
      const life = await this.boot()
      if (life === null) continue
      this.life = life
      return
    }
    throw new Error('no worker could be started')
  }

  /** Runs them in one turn. */
  async turn(frames: readonly Frame[]): Promise<(Answer | null)[]> {
    const { journal } = this.living()
    const { pending, marks } = this.execute(frames)
    const isDurable = await journal.drained()
    const answers = pending.map(({ answer }, i) =>
      journal.durableMark >= (marks[i] as number) ? answer : null,
    )
    if (!isDurable) await this.start()
    return answers
  }

  /** Runs them in one turn, of which nobody hears: the worker is killed. */
  async killIn(frames: readonly Frame[]): Promise<void> {
    this.execute(frames)
    await this.start()
  }

  state(): ShardState {
    return this.living().shard.state
  }

  /** Everything under way is over. */
  async stop(): Promise<void> {
    const { journal, checkpoints } = this.living()
    await journal.drained()
    await journal.stop()
    await checkpoints.stop()
  }

  /** What a worker would find now. */
  async survived(): Promise<ShardState> {
    const storage = new MemoryStorage(this.store, { owner: 'auditor', node: 'node' })
    const [claim] = await storage.claim([this.shard])
    if (claim === undefined) throw new Error('the shard was not claimed')
    const restore = restoreOf(this.shard)
    await storage.load(claim, restore)
    return restore.state
  }

  private living(): Life {
    if (this.life === null) throw new Error('it was not started')
    return this.life
  }

  private execute(frames: readonly Frame[]): { pending: Pending[]; marks: number[] } {
    const { shard, journal } = this.living()
    this.nowMs++
    const marks: number[] = []
    const pending = frames.map((frame) => {
      const each = this.run(shard, frame)
      marks.push(journal.mark)
      return each
    })
    shard.serve()
    journal.flush()
    return { pending, marks }
  }

  private run(shard: Shard, frame: Frame): Pending {
    const pending = new Pending()
    const { command } = this
    const bytes = Buffer.from(`${JSON.stringify(frame)}\n`)
    const refusal = scanFrame(bytes, 0, bytes.length - 1, command)
    const reply = new JsonReply(command, pending)
    if (refusal !== null) reply.refused(refusal)
    else if (routeOf[opNames[command.op] as keyof typeof routeOf] === 'ids') {
      const refused: ItemRefusal[] = []
      reply.counted(shard.executeIds(command, refused, this.nowMs), refused)
    } else shard.execute(command, reply, 1, this.nowMs)
    return pending
  }

  /** Null when something failed for good on the way. */
  private async boot(): Promise<Life | null> {
    const me = { owner: `worker ${this.boots++}`, node: 'node' }
    const storage = this.spoil(new MemoryStorage(this.store, me))
    try {
      const [claim] = await patiently(() => storage.claim([this.shard]))
      if (claim === undefined) throw new Error('the shard was not claimed')
      let restore = restoreOf(this.shard)
      const loaded = await patiently(() => {
        restore = restoreOf(this.shard)
        return storage.load(claim, restore)
      })
      const seqLimit = loaded.reservedTo + SEQUENCES_PER_GRANT
      await patiently(() => storage.reserve(claim, seqLimit))
      const backlog = new Backlog(1e9)
      const checkpoints = this.checkpointsOf(storage)
      const terms = { claim, storage, loaded, backlog, delay: soon, random: () => 0 }
      const listener = { durable: () => checkpoints.look(this.shard), ...silent }
      const journal = new Journal({ ...terms, listener })
      checkpoints.add(journal, loaded)
      const { state } = restore
      const shard = Shard.resume(state, seqLimit, this.portsOf(journal))
      shard.ownedFrom(loaded.reservedTo, state.nextToken, () => true, this.nowMs)
      return (await journal.drained()) ? { storage, journal, checkpoints, shard } : null
    } catch (fault) {
      if (fault instanceof StorageFault && !fault.retryable) return null
      throw fault
    }
  }

  private checkpointsOf(storage: Storage): Checkpoints {
    return new Checkpoints({
      storage,
      bytesMin: CHECKPOINT_BYTES_MIN,
      delay: soon,
      random: () => 0,
      listener: { checkpointMade: nothing, checkpointFailed: nothing },
    })
  }

  private portsOf(journal: Journal): ShardPorts {
    return {
      mail: {
        ask: nothing,
        tell: nothing,
        cronTick: nothing,
        cronTaken: nothing,
        webhook: nothing,
      },
      events: { listening: false, wants: () => false, event: nothing, events: nothing },
      webhooks: noDeliveries,
      log: journal,
      memory: { full: false },
      slots: new SlotHold(),
      spare: new SpareMemory<JobPage>(PAGE_BYTES),
      latency: new RateWindow(),
      counts: new EventCounts(),
      retention: { count: 1000, ageMs: 1e9, bytes: 1e9 },
    }
  }
}

function nothing(): void {}

const silent = {
  stalled: nothing,
  resumed: nothing,
  fenced: nothing,
  failed: nothing,
  ended: nothing,
}

/** As soon as everything else has had its turn. */
const soon: Delay = (_ms, then) => {
  const immediate = setImmediate(then)
  return () => clearImmediate(immediate)
}

/** Until it is known whether it happened. */
async function patiently<T>(action: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await action()
    } catch (fault) {
      if (!(fault instanceof StorageFault) || !fault.retryable) throw fault
    }
  }
}
