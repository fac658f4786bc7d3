// Workers in one process whose shards survive them: real exchanges, keepers, journals and shards over one `MemoryStore`,
// a table given by the test, and storage that hangs, fails and refuses as the test says.
//
//   frame ─▶ exchange ─▶ router ─▶ runner ─▶ journal ─▶ GatedStorage ─▶ MemoryStorage
//
// Timers are the test's (`vi.useFakeTimers`, without `setImmediate`); `settled` waits for what needs no time.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, vi } from 'vitest'
import { Exchange } from '../../src/cluster/exchange.ts'
import type { ReplyHold } from '../../src/cluster/reply-hold.ts'
import { type OwnedLog, ShardKeeper } from '../../src/cluster/shard-keeper.ts'
import { ShardRunner } from '../../src/cluster/shard-runner.ts'
import { holderOf } from '../../src/engine/holder-number.ts'
import { limits } from '../../src/engine/limits.ts'
import { newSession, type Session } from '../../src/engine/ports.ts'
import type { Claim, Loaded, Storage } from '../../src/engine/storage-port.ts'
import { Traffic } from '../../src/engine/traffic.ts'
import { noDeliveries } from '../../src/engine/webhook-ports.ts'
import { Backlog } from '../../src/storage/backlog.ts'
import { timerDelay } from '../../src/storage/delay.ts'
import { Journal } from '../../src/storage/journal.ts'
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts'
import { MemoryStore } from '../../src/storage/memory/memory-store.ts'
import { readRecordBatch } from '../../src/storage/record-batch.ts'
import { EventHub } from '../../src/transports/events/hub.ts'
import { readInto } from '../../src/transports/tcp/read-buffer.ts'
import { wireCodec } from '../../src/transports/wire/codec.ts'
import { CapturedLog } from './captured-log.ts'
import { type Answer, Pending } from './engine-harness.ts'
import { GatedStorage } from './gated-storage.ts'

const DAY_MS = 86_400_000
const NOBODY = -1

export interface KeptOptions {
  readonly waits?: boolean
  readonly backlogBytes?: number
  /** Another one plays another node. */
  readonly node?: string
  /** Between the keeper and what survives. */
  spoil?(storage: Storage): Storage
}

interface Told {
  serving(worker: KeptWorker, shards: readonly number[]): void
}

/** One worker, alive. */
export class KeptWorker {
  readonly log = new CapturedLog()
  readonly served: number[] = []
  readonly gone: number[] = []
  readonly bugs: unknown[] = []
  readonly storage: GatedStorage
  readonly exchange: Exchange
  readonly backlog: Backlog
  mayAnswer = true
  /** Of each shard, the newest. */
  readonly journals = new Map<number, Journal>()
  keeper!: ShardKeeper
  runner!: ShardRunner
  readonly index: number

  constructor(index: number, store: MemoryStore, folder: string, told: Told, options: KeptOptions) {
    const { waits = true, backlogBytes = 2 ** 24, node = 'node', spoil } = options
    const owner = `worker ${index}`
    this.index = index
    this.storage = new GatedStorage(new MemoryStorage(store, { owner, node }))
    const storage = spoil?.(this.storage) ?? this.storage
    this.backlog = new Backlog(backlogBytes)
    const events = new EventHub()
    const clock = { nowMs: () => Date.now() }
    this.exchange = new Exchange({
      traffic: new Traffic(),
      worker: index,
      incarnation: 1,
      folder,
      clock,
      codec: wireCodec,
      readInto,
      events,
      log: this.log,
      makeRunner: (mail, hold) => {
        this.runner = new ShardRunner({
          clock,
          mail,
          events,
          webhooks: noDeliveries,
          memoryBytesMax: 2 ** 30,
          retention: { count: 1000, ageMs: DAY_MS, bytes: 2 ** 24 },
          reserve: (shard) => this.keeper.reserve(shard),
          ...(hold === null ? {} : { durable: { hold, lines: events } }),
        })
        return this.runner
      },
      durable: {
        waits,
        mayAnswer: () => this.mayAnswer,
        makeKeeper: (hold: ReplyHold, hooks) => {
          this.keeper = new ShardKeeper({
            ...hooks,
            storage,
            runner: this.runner,
            hold,
            clock,
            log: this.log,
            pending: this.backlog,
            openLog: (claim, loaded, listener) => this.openLog(storage, claim, loaded, listener),
            decodeBatch: readRecordBatch,
            serving: (shards) => {
              this.served.push(...shards)
              setImmediate(() => told.serving(this, shards))
            },
            gone: (shards) => {
              hooks.gone(shards)
              this.gone.push(...shards)
            },
          })
          return this.keeper
        },
      },
      sendSocket: () => undefined,
      hearing: () => undefined,
      bug: (error) => this.bugs.push(error),
    })
    this.exchange.runner.start()
  }

  /** A frame and its turn. */
  ask(frame: object, who: Session = this.session()): Pending {
    const slot = new Pending()
    this.submit(frame, slot, who)
    this.exchange.turnEnded()
    return slot
  }

  /** Frames of one chunk. */
  askAll(frames: readonly object[], who: Session = this.session()): Pending[] {
    const slots = frames.map((frame) => {
      const slot = new Pending()
      this.submit(frame, slot, who)
      return slot
    })
    this.exchange.turnEnded()
    return slots
  }

  /** Its answer, when that needs no time. */
  async answer(frame: object, who: Session = this.session()): Promise<Answer> {
    const slot = this.ask(frame, who)
    await settled()
    if (slot.answer === null) throw new Error(`no answer to ${JSON.stringify(frame)}`)
    return slot.answer
  }

  async push(queue: string, data: unknown, options: object = {}): Promise<number> {
    const { id } = await this.answer({ cmd: 'PUSH', queue, data, ...options })
    if (id === undefined) throw new Error('the push was refused')
    return id
  }

  session(): Session {
    return newSession(holderOf({ worker: this.index, incarnation: 1 }, ++lastHolder))
  }

  submit(frame: object, slot: Pending, who: Session): void {
    const bytes = Buffer.from(`${JSON.stringify(frame)}\n`)
    this.exchange.submit(bytes, 0, bytes.length - 1, slot, who)
  }

  journal(shard: number): Journal {
    const journal = this.journals.get(shard)
    if (journal === undefined) throw new Error(`shard ${shard} has no journal`)
    return journal
  }

  private openLog(
    storage: Storage,
    claim: Claim,
    loaded: Loaded,
    listener: Parameters<ConstructorParameters<typeof ShardKeeper>[0]['openLog']>[2],
  ): OwnedLog {
    const journal = new Journal({
      claim,
      storage,
      loaded,
      backlog: this.backlog,
      delay: timerDelay,
      random: () => 0.5,
      listener: {
        durable: () => listener.durable(),
        stalled: () => listener.stalled(),
        resumed: () => listener.resumed(),
        fenced: () => listener.fenced(),
        failed: (_shard, fault, isFound) => listener.failed(fault, isFound),
        ended: () => undefined,
      },
    })
    this.journals.set(claim.shard, journal)
    return journal
  }
}

export class KeptNode {
  readonly store = new MemoryStore()
  readonly workers: KeptWorker[] = []
  private readonly folder = mkdtempSync(join(tmpdir(), 'flashq-kept-'))
  private version = 0
  private epochs: number[] = new Array(limits.shards).fill(0)
  private owners: number[] = new Array(limits.shards).fill(NOBODY)
  private serving: boolean[] = new Array(limits.shards).fill(false)
  private linked = false
  private readonly dead = new Set<KeptWorker>()

  constructor() {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'],
    })
    onTestFinished(async () => {
      for (const { exchange, storage } of this.workers) {
        storage.heal()
        exchange.stop()
      }
      await settled()
      vi.useRealTimers()
      rmSync(this.folder, { recursive: true, force: true })
      expect(this.workers.flatMap(({ bugs }) => bugs)).toEqual([])
    })
  }

  add(options: KeptOptions = {}): KeptWorker {
    const index = this.workers.length
    const told = { serving: this.served.bind(this) }
    const worker = new KeptWorker(index, this.store, this.folder, told, options)
    this.workers.push(worker)
    return worker
  }

  /** With links between them. */
  async link(): Promise<void> {
    this.linked = true
    await Promise.all(this.workers.map(({ exchange }) => exchange.start()))
  }

  /** As the primary does. `owners`: shard → worker; all others stay as they are. */
  grant(owners: Readonly<Record<number, number>>): void {
    const next = this.owners.map((owner, shard) => owners[shard] ?? owner)
    this.epochs = this.epochs.map((epoch, shard) =>
      next[shard] === this.owners[shard] ? epoch : epoch + 1,
    )
    this.serving = this.serving.map((serves, shard) => serves && next[shard] === this.owners[shard])
    this.owners = next
    this.tell()
  }

  /** A new table, in which those that serve are named. */
  tell(to: readonly KeptWorker[] = this.workers): void {
    this.version++
    for (const worker of to) {
      const grants = this.owners.flatMap((owner, shard) =>
        owner === worker.index ? [{ shard, firstSeq: 1, reservedTo: 1 }] : [],
      )
      worker.exchange.applyTable({
        kind: 'table',
        version: this.version,
        owners: this.owners.map((owner, shard) => (this.serving[shard] === true ? owner : NOBODY)),
        epochs: this.epochs,
        incarnations: this.workers.map((each) =>
          !this.dead.has(each) && (this.linked || each === worker) ? 1 : 0,
        ),
        grants,
        heard: false,
      })
    }
  }

  private served(worker: KeptWorker, shards: readonly number[]): void {
    for (const shard of shards) if (this.owners[shard] === worker.index) this.serving[shard] = true
    this.tell()
  }

  /** Those who are told next know that it has died. */
  die(worker: KeptWorker): void {
    this.dead.add(worker)
  }

  /** Nothing of it is heard any more; what it had under way goes on. */
  forget(worker: KeptWorker): void {
    worker.exchange.stop()
  }
}

/** A node of one worker that serves these shards. */
export async function oneWorker(
  shards: readonly number[],
  options: KeptOptions = {},
): Promise<{ node: KeptNode; worker: KeptWorker }> {
  const node = new KeptNode()
  const worker = node.add(options)
  node.grant(Object.fromEntries(shards.map((shard) => [shard, 0])))
  await settled()
  return { node, worker }
}

/** Until everything that needs no time has happened. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Time passes, in small steps. */
export async function pass(ms: number): Promise<void> {
  const stepMs = 50
  for (let passed = 0; passed < ms; passed += stepMs) {
    vi.advanceTimersByTime(Math.min(stepMs, ms - passed))
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  await settled()
}

let lastHolder = 0

export const pushTo = (queue: string, data: unknown = 1, options: object = {}) => ({
  cmd: 'PUSH',
  queue,
  data,
  ...options,
})

/** What is there. */
export const pullFrom = (queue: string, options: object = {}) => ({
  cmd: 'PULL',
  queue,
  wait: 0,
  ...options,
})
