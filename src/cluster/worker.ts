// The life of a worker process.
//
//   forked ──▶ link socket up ──linked──▶ table ──▶ open ──▶ serving ──drain──▶ drained ──exit──▶ 0
//
// 1. It lives no longer than its primary: when the channel closes it exits at once, with code 1.
//    (Left alone, `node:cluster` would exit with 0, as if all were well.)
// 2. Signals of a terminal or a service manager reach all processes of a group: only the primary acts on them.
// 3. A bug ends the process, and the primary starts another: state that a bug has seen is not trusted.

import { rmSync } from 'node:fs'
import { Socket } from 'node:net'
import type { ShardId } from '../engine/job-id.ts'
import type { DoorPorts, Gate, ParentMail } from '../engine/ports.ts'
import type { DurableOptions, Keeper, KeeperHooks } from './durable-options.ts'
import { Exchange, type ExchangeOptions } from './exchange.ts'
import { readToWorker, type TableMessage, type ToPrimary } from './ipc.ts'
import type { Log } from './log.ts'
import type { Arrivals, Moves } from './moves.ts'
import type { NodeView } from './node-view.ts'
import type { ReplyHold } from './reply-hold.ts'
import type { Runner } from './runner.ts'
import { silence } from './silence.ts'

const LOAD_REPORT_MS = 1000
const ORPHAN_LOOK_MS = 500

/** The client side of a worker. */
export interface Listeners extends Arrivals {
  /** Binds everything; resolves to where it listens. Rejects with why it can't. */
  open(ports: DoorPorts): Promise<DoorPorts>
  /** Stops accepting, and moves every connection to another worker; resolves when none is left. */
  evacuate(): Promise<void>
  /** What is answered from now on says that its connection ends, where it can. */
  announceEnd(): void
  /** Stops accepting, answers what is in flight; resolves when no connection is left. */
  drain(): Promise<void>
}

/** What clients may ask of the node. */
export interface NodeLife {
  /** This node may serve: in memory always, with a database while nobody else can take its shards. */
  leads(): boolean
  /** Ends the whole node; `restart`: with the exit code that asks for a new start. */
  stop(isRestart: boolean): void
}

/** Where shards are durable: what the worker has besides. */
export interface WorkerDurable extends Omit<DurableOptions, 'mayAnswer' | 'makeKeeper'> {
  makeKeeper(hold: ReplyHold, hooks: KeeperHooks & PrimaryHooks): Keeper
  /** A shard needs more sequences. */
  reserve(shard: ShardId): void
  /** Resolves when the database can be asked. */
  start(): Promise<void>
  stop(): Promise<void>
}

/** What the primary is told of. */
interface PrimaryHooks {
  serving(shards: readonly ShardId[]): void
  gone(shards: readonly ShardId[]): void
}

export interface WorkerOptions
  extends Omit<ExchangeOptions, 'bug' | 'makeRunner' | 'durable' | 'sendSocket' | 'hearing'> {
  /** `reserve`: a shard needs more sequences. */
  makeRunner(mail: ParentMail, hold: ReplyHold | null, reserve: (shard: ShardId) => void): Runner
  readonly durable: WorkerDurable | null
  makeListeners(gate: Gate, moves: Moves, life: NodeLife, view: NodeView): Listeners
}

/** Runs the worker until the process ends. */
export function runWorker(options: WorkerOptions): void {
  const { log, folder } = options
  const die = (error: unknown): void => crash(log, error)
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
  process.on('SIGTERM', () => undefined)
  process.on('SIGINT', () => undefined)
  process.prependListener('disconnect', () => orphaned(log, folder))
  // While a connection is on its way to the primary, Node puts `disconnect` off until the primary says that it has
  // it: a dead one never does.
  setInterval(() => {
    if (!process.connected) orphaned(log, folder)
  }, ORPHAN_LOOK_MS).unref()
  const worker = new WorkerProcess(options, die)
  process.on('message', (message, handle) => worker.receive(message, handle))
  worker.start()
}

class WorkerProcess {
  private readonly exchange: Exchange
  private readonly listeners: Listeners
  private readonly die: (error: unknown) => void
  private readonly durable: WorkerDurable | null
  /** On the system's monotonic clock. */
  private leaseUntilMs = 0
  private reportedJobs = 0
  private opening = false
  private exiting = false

  constructor(options: WorkerOptions, die: (error: unknown) => void) {
    this.die = die
    const { durable: kept } = options
    const reserve = (shard: ShardId): void =>
      kept === null ? tellPrimary({ kind: 'reserve', shard }) : kept.reserve(shard)
    const makeRunner = (mail: ParentMail, hold: ReplyHold | null): Runner =>
      options.makeRunner(mail, hold, reserve)
    this.durable = kept
    const durable = kept === null ? null : this.durableOptions(kept)
    const hearing = (on: boolean): void => tellPrimary({ kind: 'hearing', on })
    this.exchange = new Exchange({ ...options, makeRunner, durable, sendSocket, hearing, bug: die })
    const { moves } = this.exchange
    const life: NodeLife = {
      leads: () => kept === null || monotonicMs() < this.leaseUntilMs,
      stop: (restart) => tellPrimary({ kind: 'stop', restart }),
    }
    this.listeners = options.makeListeners(this.exchange, moves, life, this.view())
    moves.arrivals = this.listeners
  }

  start(): void {
    const started = Promise.all([this.exchange.start(), this.durable?.start()])
    started.then(() => tellPrimary({ kind: 'linked' }), this.die)
    setInterval(() => this.reportLoad(), LOAD_REPORT_MS).unref()
  }

  receive(message: unknown, handle: unknown): void {
    const read = readToWorker(message)
    switch (read?.kind) {
      case 'table':
        return this.applyTable(read)
      case 'open':
        return this.open(read.ports)
      case 'release':
        return this.release(read.count)
      case 'lease':
        this.leaseUntilMs = read.untilMs
        return
      case 'wake':
        return this.exchange.wake()
      case 'adopt':
        return this.adopt(read.holder, handle)
      case 'evacuate':
        return this.evacuate()
      case 'drain':
        return this.drain()
      case 'exit':
        return this.exit()
      case undefined:
        return this.die(new Error(`not a message of the primary: ${JSON.stringify(message)}`))
    }
  }

  private applyTable(table: TableMessage): void {
    this.exchange.applyTable(table)
    tellPrimary({ kind: 'applied', version: table.version })
  }

  private open(ports: DoorPorts): void {
    if (this.opening) return
    this.opening = true
    this.listeners.open(ports).then(
      (bound) => tellPrimary({ kind: 'opened', ports: bound }),
      (error: unknown) => tellPrimary({ kind: 'failed', text: textOf(error) }),
    )
  }

  private adopt(holder: number, handle: unknown): void {
    tellPrimary({ kind: 'adopted', holder })
    // The peer may have gone on the way: then there is no socket.
    this.exchange.moves.adopt(holder, handle instanceof Socket ? handle : null)
  }

  private evacuate(): void {
    // It owns nothing any more: whoever hears its events, here too, can be told that these were all.
    this.exchange.endEvents()
    this.listeners.evacuate().then(() => tellPrimary({ kind: 'evacuated' }), this.die)
  }

  private drain(): void {
    this.listeners.announceEnd()
    this.exchange.drain()
    this.listeners.drain().then(() => tellPrimary({ kind: 'drained' }), this.die)
  }

  private durableOptions(durable: WorkerDurable): DurableOptions {
    return {
      waits: durable.waits,
      mayAnswer: () => monotonicMs() < this.leaseUntilMs,
      makeKeeper: (hold, hooks) =>
        durable.makeKeeper(hold, {
          ...hooks,
          serving: (shards) => tellPrimary({ kind: 'serving', shards }),
          gone: (shards) => {
            hooks.gone(shards)
            tellPrimary({ kind: 'released', shards })
          },
        }),
    }
  }

  private view(): NodeView {
    const { surveys, runner } = this.exchange
    return {
      survey: surveys,
      cluster: () => this.exchange.figures(),
      shards: (queuesMax) => runner.figures(queuesMax),
      sums: () => runner.sums(),
      leaseLeftMs: () => (this.durable === null ? null : this.leaseUntilMs - monotonicMs()),
    }
  }

  private release(count: number): void {
    this.exchange
      .giveBackShards(count)
      .then((shards) => tellPrimary({ kind: 'released', shards }), this.die)
  }

  private exit(): void {
    if (this.exiting) return
    this.exiting = true
    const ended = this.exchange.handOverAll().then(() => this.durable?.stop())
    ended.then(() => {
      this.exchange.stop()
      process.exit(0)
    }, this.die)
  }

  private reportLoad(): void {
    const jobs = this.exchange.runner.jobCount()
    if (jobs === this.reportedJobs) return
    this.reportedJobs = jobs
    tellPrimary({ kind: 'load', jobs })
  }
}

/** Sends a connection to another worker. */
function sendSocket(to: number, holder: number, socket: Socket): void {
  const message: ToPrimary = { kind: 'move', to, holder }
  const options = { keepOpen: false }
  silence(socket)
  process.send?.(message, socket, options, (error) => {
    if (error !== null) socket.destroy()
  })
}

/** Of the whole system: the primary's is the same. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

function tellPrimary(message: ToPrimary): void {
  // A failure to send means that the primary is gone, which `disconnect` handles.
  process.send?.(message, undefined, undefined, () => undefined)
}

function crash(log: Log, error: unknown): void {
  log.error({ err: error }, 'a bug: this worker exits')
  process.exit(1)
}

function orphaned(log: Log, folder: string): void {
  log.error({}, 'the primary is gone: this worker exits')
  // Nobody else is left to remove it; the other workers do the same.
  rmSync(folder, { recursive: true, force: true })
  process.exit(1)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
