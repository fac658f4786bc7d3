// The primary: forks the workers, says who owns which shard, starts again what dies, and ends it all.
//
//   starting ──all linked: assign, open──▶ serving ──SIGTERM──▶ draining ──all gone──▶ exit 0
//                                           └── the same with 100: by POST /server/restart
//        └── can't bind, or dies again and again: exit 1                └── too late, or a second signal: exit 1
//
// 1. No client byte passes through here (but `node:cluster` accepts the connections and hands them out).
// 2. A worker's shards get new owners the moment its death is seen. In memory mode their jobs are gone, and
//    the log says how many; with a database the new owners recover them, and are named to the others when they serve.
// 3. Shards stay where they are while no worker has too few. Then some move: empty ones, or with a database any,
//    a few at a time.
// 4. It kills its own children only.

import cluster, { type Worker } from 'node:cluster'
import { mkdtempSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ShardId } from '../engine/job-id.ts'
import { limits } from '../engine/limits.ts'
import type { DoorPorts } from '../engine/ports.ts'
import { Child } from './children.ts'
import { type MoveMessage, readToPrimary, type ToPrimary } from './ipc.ts'
import type { Log } from './log.ts'
import { HANDED_AT_ONCE, RollingRestart } from './rolling-restart.ts'
import { ShardTable } from './shard-table.ts'
import { silence } from './silence.ts'

/** Deaths of one worker in a row before the first start has succeeded: then there is no point in going on. */
const DEATHS_AT_START_MAX = 3
/** A terminal, npm and a supervisor may each pass on one and the same Ctrl-C. */
const SAME_SIGNAL_MS = 1000
/** Shards that take longer to recover do not keep the others from being served. */
const RECOVERY_MS_MAX = 10_000
/** Of a clean end after which whoever supervises this process is to start it again. */
const EXIT_RESTART = 100
/** Between two requests to one worker to give back empty shards. */
const EVEN_OUT_MS = 10_000

export interface PrimaryOptions {
  readonly workers: number
  /** Where the workers are to listen. */
  readonly ports: DoorPorts
  readonly drainTimeoutMs: number
  /** Shards are recovered from a database before they serve, and outlive their worker. */
  readonly isDurable: boolean
  readonly log: Log
  nowMs(): number
  /** Everything is bound, and served. */
  onReady(ports: DoorPorts): void
  exit(code: number): void
}

/** How a worker process knows who it is. */
export interface WorkerIdentity {
  readonly worker: number
  readonly incarnation: number
  readonly folder: string
  readonly nodeStartedAtMs: number
}

export function readIdentity(env: NodeJS.ProcessEnv): WorkerIdentity {
  return {
    worker: Number(env['FLASHQ_WORKER']),
    incarnation: Number(env['FLASHQ_INCARNATION']),
    folder: env['FLASHQ_LINKS'] ?? '',
    nodeStartedAtMs: Number(env['FLASHQ_STARTED_MS']),
  }
}

type State = 'starting' | 'serving' | 'draining' | 'over'

export class Primary {
  private readonly options: PrimaryOptions
  private readonly log: Log
  private readonly children: Child[]
  private readonly table: ShardTable
  private readonly folder: string
  private readonly startedAtMs: number
  private state: State = 'starting'
  /** As the workers are told. */
  private ports: DoorPorts
  /** Where they really listen; null = nobody does yet. */
  private boundPorts: DoorPorts | null = null
  private evenedOutAtMs = 0
  private drainingSinceMs = 0
  private drainSignal = ''
  private allClean = true
  /** Of a clean end. */
  private exitCode = 0
  private environment: Readonly<Record<string, string>> = {}
  private leaseUntilMs = 0
  private restart: RollingRestart | null = null
  private recoveryTimer: NodeJS.Timeout | null = null

  constructor(options: PrimaryOptions) {
    this.options = options
    this.log = options.log
    this.ports = options.ports
    this.startedAtMs = options.nowMs()
    this.table = new ShardTable(options.nowMs(), options.isDurable)
    this.children = Array.from({ length: options.workers }, (_, index) => new Child(index))
    // Private to this user; short, because a socket's path may have 103 bytes.
    this.folder = mkdtempSync(join(tmpdir(), 'flashq-'))
  }

  /** `environment`: for the workers, over this process's own. */
  start(environment: Readonly<Record<string, string>> = {}): void {
    // Stopped while the database was being waited for.
    if (this.state !== 'starting') return
    this.environment = environment
    cluster.schedulingPolicy = cluster.SCHED_RR
    cluster.on('exit', (process, code, signal) => this.exited(process, code, signal))
    for (const child of this.children) this.fork(child)
  }

  /** SIGTERM or SIGINT: the first one drains, the second one ends. */
  stop(signal: string): void {
    if (this.state === 'draining' || this.state === 'over') {
      const again = signal === this.drainSignal
      if (again && this.options.nowMs() - this.drainingSinceMs < SAME_SIGNAL_MS) return
      this.log.warn({ signal }, 'second signal: exits at once')
      return this.end(1)
    }
    this.log.info({ signal }, 'draining')
    this.drainSignal = signal
    this.drain()
  }

  /** A client asks for the end. */
  private stopByRequest(isRestart: boolean): void {
    if (this.state !== 'serving') return
    this.log.info({ restart: isRestart }, 'draining: a client asks for it')
    if (isRestart) this.exitCode = EXIT_RESTART
    this.drain()
  }

  private drain(): void {
    this.restart?.stop()
    this.state = 'draining'
    this.drainingSinceMs = this.options.nowMs()
    for (const child of this.children) {
      child.cancelRestart()
      if (child.opened) child.send({ kind: 'drain' })
      else child.kill()
    }
    setTimeout(() => {
      this.log.error({ timeoutMs: this.options.drainTimeoutMs }, 'draining took too long: exits')
      this.end(1)
    }, this.options.drainTimeoutMs).unref()
    this.endWhenDrained()
  }

  /** SIGHUP: all workers start anew, one after another, and nobody notices. */
  restartWorkers(): void {
    const { log, children } = this
    if (!this.options.isDurable) {
      log.warn({}, 'workers are not restarted: their jobs are in memory alone')
      return
    }
    if (this.state !== 'serving' || this.restart !== null) {
      log.warn(
        { state: this.state },
        'workers are not restarted: the server is busy with that, or not ready',
      )
      return
    }
    const spare = children.length < limits.shards ? new Child(children.length) : null
    const workers = [...children]
    if (spare !== null) children.push(spare)
    this.restart = new RollingRestart(
      {
        log,
        fork: (child) => this.fork(child),
        setLeaving: (child, isLeaving) => {
          child.leaving = isLeaving
        },
        isRelieved: (child) => this.table.shardsOf(child.index).length === 0,
        isSettled: () => this.table.allServed,
        over: () => this.restarted(spare),
      },
      workers,
      spare,
    )
    this.restart.start()
  }

  private restarted(spare: Child | null): void {
    this.restart = null
    // A spare that could not be let go stays as a worker.
    if (spare?.process === null) {
      spare.cancelRestart()
      this.children.pop()
    }
    this.evenOut()
  }

  /** No other node can take this one's shards until then, on the system's monotonic clock. */
  leaseRenewed(untilMs: number): void {
    this.leaseUntilMs = untilMs
    for (const child of this.children) child.send({ kind: 'lease', untilMs })
  }

  /** Another node may have let shards go. */
  wake(): void {
    if (!this.table.allServed) for (const child of this.children) child.send({ kind: 'wake' })
  }

  /** Ends at once: kills what is left of the workers. */
  end(code: number): void {
    if (this.state === 'over') return
    this.state = 'over'
    if (this.recoveryTimer !== null) clearInterval(this.recoveryTimer)
    for (const child of this.children) {
      child.cancelRestart()
      child.kill()
    }
    rmSync(this.folder, { recursive: true, force: true })
    this.options.exit(code)
  }

  private fork(child: Child): void {
    child.cancelRestart()
    if (child.process !== null) return
    const process = cluster.fork({
      ...this.environment,
      FLASHQ_WORKER: child.index,
      FLASHQ_INCARNATION: child.incarnation + 1,
      FLASHQ_LINKS: this.folder,
      FLASHQ_STARTED_MS: this.startedAtMs,
    })
    child.started(process, this.options.nowMs())
    this.log.info({ worker: child.index, workerPid: process.process.pid }, 'worker started')
    process.on('message', (message: unknown, handle: unknown) => {
      if (child.process === process) this.receive(child, message, handle)
      // Its last words, read after its end: nobody has what must go with the socket.
      else if (handle instanceof Socket) handle.destroy()
    })
    process.on('error', (error) => {
      this.log.error({ err: error, worker: child.index }, 'worker process')
    })
  }

  private receive(child: Child, raw: unknown, handle: unknown): void {
    const message = readToPrimary(raw)
    if (message === null) {
      this.log.error({ worker: child.index, message: raw }, 'not a message of a worker: killed')
      return child.kill()
    }
    if (message.kind === 'move') this.move(message, handle)
    else this.act(child, message)
  }

  /** A connection goes to another worker. Its bytes are not read here. */
  private move({ to, holder }: MoveMessage, handle: unknown): void {
    const target = this.children[to]
    if (handle instanceof Socket) silence(handle)
    if (target?.opened) target.adopt(holder, handle)
    else if (handle instanceof Socket) handle.destroy()
  }

  private act(child: Child, message: Exclude<ToPrimary, MoveMessage>): void {
    switch (message.kind) {
      case 'linked':
        return this.linked(child)
      case 'applied':
        child.appliedVersion = message.version
        return this.sendTable(child)
      case 'opened':
        return this.opened(child, message.ports)
      case 'failed':
        this.log.error({ worker: child.index }, message.text)
        return this.end(1)
      case 'reserve':
        this.table.reserve(message.shard, child.index, this.options.nowMs())
        return this.sendTable(child)
      case 'released':
        for (const shard of message.shards) this.table.release(shard, child.index)
        this.reassign()
        return this.restart?.released(child)
      case 'serving':
        return this.serving(child, message.shards)
      case 'load':
        child.jobs = message.jobs
        this.log.debug({ worker: child.index, jobs: message.jobs }, 'load')
        return this.evenOut()
      case 'hearing':
        child.hearing = message.on
        return
      case 'adopted':
        return child.inHand?.adopted(message.holder)
      case 'evacuated':
        child.evacuated = true
        return this.restart?.advance()
      case 'drained':
        child.drained = true
        return this.endWhenDrained()
      case 'stop':
        return this.stopByRequest(message.restart)
    }
  }

  private linked(child: Child): void {
    child.linked = true
    if (this.leaseUntilMs > 0) child.send({ kind: 'lease', untilMs: this.leaseUntilMs })
    if (this.state === 'starting') {
      if (!this.children.every((each) => each.linked)) return
      this.reassign()
      if (this.boundPorts !== null) return this.open(child)
      return this.options.isDurable ? this.awaitRecovery() : this.open(this.children[0] as Child)
    }
    if (this.state !== 'serving') return child.kill()
    this.reassign()
    this.open(child)
    this.evenedOutAtMs = 0
    this.evenOut()
  }

  /** The first listener opens when every shard is recovered, or when some take too long. */
  private awaitRecovery(): void {
    if (this.table.allServed) return this.openFirst()
    this.recoveryTimer ??= setInterval(() => {
      // Another node has them: this one stands by, and opens when it gets them.
      if (!this.table.someServed)
        return this.log.info({}, 'waits for shards: another node has them')
      this.log.warn({}, 'some shards are still being recovered: the others are served')
      this.openFirst()
    }, RECOVERY_MS_MAX)
  }

  private openFirst(): void {
    const first = this.children[0]
    // It may have died meanwhile; then it comes back.
    if (this.state !== 'starting' || this.boundPorts !== null || !first?.linked) return
    if (this.recoveryTimer !== null) clearInterval(this.recoveryTimer)
    this.recoveryTimer = null
    this.open(first)
  }

  private serving(child: Child, shards: readonly ShardId[]): void {
    for (const shard of shards) this.table.served(shard, child.index)
    for (const each of this.children) this.sendTable(each)
    if (this.recoveryTimer !== null && this.table.allServed) this.openFirst()
    if (!this.table.allServed) return
    if (this.restart !== null) return this.restart.advance()
    // What is left of an uneven share moves on, a few at a time.
    this.evenedOutAtMs = 0
    this.evenOut()
  }

  /** Once the first one is open the ports are known, and the others open. */
  private open(child: Child): void {
    // As long as one listens, the others must ask for the same ports as it did, or the sockets are not shared.
    const somebodyListens = this.children.some((each) => each.opened)
    if (!somebodyListens && this.boundPorts !== null) this.ports = this.boundPorts
    child.send({ kind: 'open', ports: this.ports })
  }

  private opened(child: Child, ports: DoorPorts): void {
    child.opened = true
    const isFirst = this.boundPorts === null
    this.boundPorts = ports
    this.restart?.advance()
    if (this.state !== 'starting') return
    if (isFirst) for (const each of this.children) if (!each.opened) this.open(each)
    if (!this.children.every((each) => each.opened)) return
    this.state = 'serving'
    this.options.onReady(ports)
  }

  private exited(process: Worker, code: number, signal: string | null): void {
    const child = this.children.find((each) => each.process === process)
    if (child === undefined || this.state === 'over') return
    const livedMs = this.options.nowMs() - child.startedAtMs
    const { jobs, index } = child
    child.gone()
    if (this.state === 'draining') {
      if (code !== 0 && !child.killed) this.allClean = false
      return this.endWhenDrained()
    }
    if (this.restart?.ends(child) === true) {
      this.table.membersChanged()
      this.reassign()
      return this.restart.advance()
    }
    const delayMs = child.backOff.died(livedMs)
    const shards = this.table.shardsOf(index)
    const workerPid = process.process.pid
    this.log.error({ worker: index, workerPid, code, signal, shards, jobs }, this.deathOf(jobs))
    if (this.state === 'starting' && child.backOff.deaths >= DEATHS_AT_START_MAX) {
      this.log.error({ worker: index }, 'a worker can not be started: exits')
      return this.end(1)
    }
    if (shards.length > 0) this.reassign()
    if (delayMs > 0)
      this.log.warn({ worker: index, delayMs }, 'the worker crash-loops: restart later')
    child.restartTimer = setTimeout(() => this.fork(child), delayMs)
  }

  /** Shards without an owner get one, and everybody is told what has changed. */
  private reassign(): void {
    const moved = this.table.reassign(this.live(), this.takers())
    if (moved.length > 0 && this.state === 'serving') {
      this.log.info({ shards: moved, owners: this.table.ownersNow() }, 'shards have new owners')
    }
    for (const child of this.children) this.sendTable(child)
  }

  /** At most one table is on its way to a worker; the next one is sent when that is applied. */
  private sendTable(child: Child): void {
    const { version } = this.table
    if (!child.linked || child.sentVersion !== child.appliedVersion) return
    if (child.sentVersion === version) return
    child.sentVersion = version
    child.send({
      kind: 'table',
      version,
      owners: this.table.ownersNow(),
      epochs: this.table.epochsNow(),
      incarnations: this.children.map((each) => (each.linked ? each.incarnation : 0)),
      grants: this.table.grantsOf(child.index),
      heard: this.children.some((each) => each.hearing),
    })
  }

  /** Asks workers with too many shards to give back empty ones. */
  private evenOut(): void {
    if (this.state !== 'serving' || this.restart !== null) return
    const nowMs = this.options.nowMs()
    if (nowMs - this.evenedOutAtMs < EVEN_OUT_MS) return
    const live = this.live()
    // Whoever is about to be restarted will want a share too: then is the time.
    if (live.length < this.children.length) return
    this.evenedOutAtMs = nowMs
    for (const [worker, count] of this.table.surpluses(live)) {
      this.children[worker]?.send({ kind: 'release', count: this.movable(count) })
    }
  }

  private endWhenDrained(): void {
    if (this.state !== 'draining') return
    const left = this.children.filter((child) => child.process !== null)
    if (left.length === 0) {
      this.log.info({}, 'drained: exits')
      return this.end(this.allClean ? this.exitCode : 1)
    }
    // Not before all are: until then a worker may have to run what another one still owes its clients.
    if (left.every((child) => child.drained)) for (const child of left) child.send({ kind: 'exit' })
  }

  /** Shards that hold jobs are moved a few at a time: who asks for them waits meanwhile. */
  private movable(count: number): number {
    return this.options.isDurable ? Math.min(count, HANDED_AT_ONCE) : count
  }

  /** Those that may get shards. */
  private takers(): number[] {
    return this.children.filter((child) => child.linked && !child.leaving).map((each) => each.index)
  }

  private deathOf(jobs: number): string {
    if (this.options.isDurable) return 'a worker died: others recover its shards'
    return jobs === 0
      ? 'a worker died'
      : `a worker died: about ${jobs} jobs were in its memory and are lost`
  }

  private live(): number[] {
    return this.children.filter((child) => child.linked).map((child) => child.index)
  }
}
