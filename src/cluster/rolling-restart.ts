// Restarts all workers, one after another, while everything is served: what SIGHUP asks for.
//
//   spare opens ─▶ each worker: shards handed on ─▶ connections moved ─▶ exits ─▶ starts anew ─▶ next …
//                  ─▶ the spare: the same, and it does not start again
//
// 1. The spare is one worker more for the time of the restart: so a node of one worker serves, too, and shards have
//    somewhere to go that has room. (With as many workers as there may be, shards go to the others.)
// 2. `advance` is called after everything that may have changed; it waits for facts, not for messages.
// 3. A step that takes too long ends the restart where it is: nothing is killed, all that lives goes on serving.

import type { Child } from './children.ts'
import type { Log } from './log.ts'

/** One step: recovering the shards of a worker, or moving its connections. */
const STEP_MS_MAX = 60_000
/** Shards that are between two workers at the same time. */
export const HANDED_AT_ONCE = 4

/** What it needs of the primary. */
export interface RestartHost {
  readonly log: Log
  fork(child: Child): void
  /** No shards from now on, or shards again. */
  setLeaving(child: Child, isLeaving: boolean): void
  /** It owns nothing. */
  isRelieved(child: Child): boolean
  /** Every shard is served. */
  isSettled(): boolean
  over(): void
}

type Step = 'starting' | 'settling' | 'handing' | 'moving' | 'ending'

export class RollingRestart {
  private readonly host: RestartHost
  private readonly spare: Child | null
  private readonly rest: Child[]
  private current: Child
  private step: Step = 'starting'
  private timer: NodeJS.Timeout | null = null
  private isAsked = false
  private isOver = false

  /** `spare` has no process yet; null when there is no place for one. */
  constructor(host: RestartHost, children: readonly Child[], spare: Child | null) {
    this.host = host
    this.spare = spare
    this.rest = [...children]
    this.current = spare ?? (children[0] as Child)
  }

  start(): void {
    this.host.log.info({ workers: this.rest.length }, 'restarting all workers, one after another')
    if (this.spare !== null) this.host.fork(this.spare)
    this.arm()
    this.advance()
  }

  /** It is the worker that is being relieved: what follows its end is decided here. */
  ends(child: Child): boolean {
    return child === this.current && this.isRelieving() && !this.isOver
  }

  /** It has given away what it was asked for. */
  released(child: Child): void {
    if (child === this.current) this.isAsked = false
    this.advance()
  }

  advance(): void {
    const { current, host } = this
    if (this.isOver) return
    if (current.process === null && this.isRelieving()) return this.ended()
    switch (this.step) {
      case 'starting':
        if (!current.opened) return
        this.enter('settling')
        return this.advance()
      case 'settling':
        if (host.isSettled()) this.next()
        return
      case 'handing':
        if (!host.isSettled() || this.isAsked) return
        return host.isRelieved(current) ? this.move() : this.askForShards()
      case 'moving':
        if (!current.evacuated) return
        this.enter('ending')
        current.send({ kind: 'exit' })
        return
      case 'ending':
        return
    }
  }

  /** Its process is gone, as it should, or before its time. */
  private ended(): void {
    const { current, host } = this
    if (current === this.spare) return this.end('all workers were restarted')
    this.enter('starting')
    host.fork(current)
  }

  stop(): void {
    this.isOver = true
    if (this.timer !== null) clearTimeout(this.timer)
  }

  private isRelieving(): boolean {
    return this.step !== 'starting' && this.step !== 'settling'
  }

  private next(): void {
    const next = this.rest.shift() ?? this.spare
    if (next === null) return this.end('all workers were restarted')
    this.current = next
    this.hand()
  }

  private hand(): void {
    const { current, host } = this
    this.enter('handing')
    host.log.info({ worker: current.index }, 'handing over the shards of a worker')
    host.setLeaving(current, true)
    this.isAsked = false
    this.advance()
  }

  private askForShards(): void {
    this.isAsked = true
    this.arm()
    this.current.send({ kind: 'release', count: HANDED_AT_ONCE })
  }

  private move(): void {
    this.enter('moving')
    this.current.send({ kind: 'evacuate' })
  }

  private enter(step: Step): void {
    this.step = step
    this.arm()
  }

  private arm(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      const { current, step, host } = this
      host.log.error(
        { worker: current.index, step },
        'the restart of workers stops: this step hangs',
      )
      host.setLeaving(current, false)
      this.stop()
      host.over()
    }, STEP_MS_MAX)
  }

  private end(text: string): void {
    this.host.log.info({}, text)
    this.stop()
    this.host.over()
  }
}
