// The order in which workers are restarted, and what becomes of it when one dies or hangs.

import type { Worker } from 'node:cluster'
import { EventEmitter } from 'node:events'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Child } from '../../../src/cluster/children.ts'
import type { ToWorker } from '../../../src/cluster/ipc.ts'
import { RollingRestart } from '../../../src/cluster/rolling-restart.ts'
import { CapturedLog } from '../../support/captured-log.ts'

class Bench {
  readonly log = new CapturedLog()
  /** What was done, in order. */
  readonly done: string[] = []
  readonly children: Child[]
  readonly spare: Child | null
  readonly restart: RollingRestart
  /** Shards of each. */
  readonly shards: number[]
  isSettled = true

  constructor(workers: number, hasSpare = true) {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    this.children = Array.from({ length: workers }, (_, index) => new Child(index))
    this.spare = hasSpare ? new Child(workers) : null
    this.shards = [...this.children.map(() => 6), 0]
    for (const child of this.children) {
      this.fork(child)
      child.opened = true
    }
    this.done.length = 0
    this.restart = new RollingRestart(
      {
        log: this.log,
        fork: (child) => this.fork(child),
        setLeaving: (child, isLeaving) => {
          child.leaving = isLeaving
          this.done.push(`${child.index} ${isLeaving ? 'leaves' : 'stays'}`)
        },
        isRelieved: ({ index }) => this.shards[index] === 0,
        isSettled: () => this.isSettled,
        over: () => this.done.push('over'),
      },
      this.children,
      this.spare,
    )
  }

  child(index: number): Child {
    const child = index === this.children.length ? this.spare : this.children[index]
    if (child === null || child === undefined) throw new Error(`no worker ${index}`)
    return child
  }

  opened(index: number): void {
    this.child(index).opened = true
    this.restart.advance()
  }

  /** Gives away up to four. */
  released(index: number): void {
    this.shards[index] = Math.max(0, (this.shards[index] as number) - 4)
    this.restart.released(this.child(index))
  }

  evacuated(index: number): void {
    this.child(index).evacuated = true
    this.restart.advance()
  }

  /** Its process ends, and the primary asks whose that is. */
  died(index: number): boolean {
    const child = this.child(index)
    child.gone()
    this.shards[index] = 0
    const isOurs = this.restart.ends(child)
    if (isOurs) this.restart.advance()
    return isOurs
  }

  /** All steps of one worker. */
  replace(index: number): void {
    while (this.shards[index] !== 0) this.released(index)
    this.evacuated(index)
    this.died(index)
  }

  private fork(child: Child): void {
    const send = (message: ToWorker): void => {
      this.done.push(`${child.index} ${message.kind}`)
    }
    const process = Object.assign(new EventEmitter(), { send: () => true })
    child.started({ process, isConnected: () => true, send } as unknown as Worker, 0)
    this.done.push(`${child.index} forked`)
  }
}

describe('a rolling restart', () => {
  it('relieves one worker after another, then the spare one', () => {
    const bench = new Bench(2)
    bench.restart.start()
    bench.opened(2)
    bench.replace(0)
    bench.shards[2] = 6
    bench.opened(0)
    bench.replace(1)
    bench.opened(1)
    bench.replace(2)
    const relieved = (index: number): string[] => [
      `${index} leaves`,
      `${index} release`,
      `${index} release`,
      `${index} evacuate`,
      `${index} exit`,
    ]
    expect(bench.done).toEqual([
      '2 forked',
      ...relieved(0),
      '0 forked',
      ...relieved(1),
      '1 forked',
      ...relieved(2),
      'over',
    ])
    expect(bench.log.texts('info').at(-1)).toBe('all workers were restarted')
    vi.advanceTimersByTime(120_000)
    expect(bench.log.texts('error')).toEqual([])
  })

  it('has no spare one where there is no place for one', () => {
    const bench = new Bench(2, false)
    bench.restart.start()
    bench.replace(0)
    bench.opened(0)
    bench.replace(1)
    bench.opened(1)
    expect(bench.done.filter((each) => /forked|over/.test(each))).toEqual([
      '0 forked',
      '1 forked',
      'over',
    ])
  })

  it('takes nothing away while a shard is not served', () => {
    const bench = new Bench(1)
    bench.isSettled = false
    bench.restart.start()
    bench.opened(1)
    expect(bench.done).toEqual(['1 forked'])
    bench.isSettled = true
    bench.restart.advance()
    expect(bench.done.slice(1)).toEqual(['0 leaves', '0 release'])
    bench.isSettled = false
    bench.released(0)
    expect(bench.done.slice(3)).toEqual([])
    bench.isSettled = true
    bench.restart.advance()
    expect(bench.done.slice(3)).toEqual(['0 release'])
  })

  it('takes the death of the worker that it relieves for the end of that, at any step', () => {
    for (const steps of [0, 1, 2, 3]) {
      const bench = new Bench(1)
      bench.restart.start()
      bench.opened(1)
      if (steps > 0) bench.released(0)
      if (steps > 1) bench.released(0)
      if (steps > 2) bench.evacuated(0)
      expect(bench.died(0)).toBe(true)
      expect(bench.done.at(-1)).toBe('0 forked')
      bench.opened(0)
      expect(bench.done.slice(-2)).toEqual(['1 leaves', '1 evacuate'])
    }
  })

  it('leaves the deaths of all others to the primary', () => {
    const bench = new Bench(2)
    bench.restart.start()
    expect(bench.died(2)).toBe(false)
    bench.opened(2)
    expect(bench.died(1)).toBe(false)
    expect(bench.died(2)).toBe(false)
    expect(bench.done.at(-1)).toBe('0 release')
  })

  it('goes on with a worker that is dead when its turn comes', () => {
    const bench = new Bench(2)
    bench.restart.start()
    bench.opened(2)
    bench.died(1)
    bench.replace(0)
    bench.opened(0)
    expect(bench.done.slice(-2)).toEqual(['1 leaves', '1 forked'])
  })

  it('ends where it is when a step hangs, and what was taken away stays a worker', () => {
    const bench = new Bench(1)
    bench.restart.start()
    bench.opened(1)
    vi.advanceTimersByTime(59_000)
    bench.released(0)
    // Each request has its own time.
    vi.advanceTimersByTime(59_000)
    expect(bench.done).not.toContain('over')
    vi.advanceTimersByTime(1000)
    expect(bench.done.slice(-2)).toEqual(['0 stays', 'over'])
    expect(bench.log.texts('error')).toEqual(['the restart of workers stops: this step hangs'])
    expect(bench.died(0)).toBe(false)
  })

  it('that is stopped does nothing more', () => {
    const bench = new Bench(1)
    bench.restart.start()
    bench.opened(1)
    bench.restart.stop()
    const { length } = bench.done
    bench.released(0)
    expect(bench.died(0)).toBe(false)
    vi.advanceTimersByTime(120_000)
    expect(bench.done).toHaveLength(length)
  })
})
