// How late the event loop is: of the last full window, so that two who read it do not take it from each other.

import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 10
const WINDOW_MS = 10_000
const NS_PER_MS = 1e6

export interface LoopDelayFigures {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export class LoopDelay {
  private readonly monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  private readonly timer: NodeJS.Timeout
  private last: LoopDelayFigures | null = null

  constructor() {
    this.monitor.enable()
    this.timer = setInterval(() => this.turnOver(), WINDOW_MS).unref()
  }

  stop(): void {
    clearInterval(this.timer)
    this.monitor.disable()
  }

  figures(): LoopDelayFigures {
    return this.last ?? this.now()
  }

  private turnOver(): void {
    this.last = this.now()
    this.monitor.reset()
  }

  private now(): LoopDelayFigures {
    const { monitor } = this
    if (monitor.max === 0) return { p50Ms: 0, p99Ms: 0, maxMs: 0 }
    return {
      p50Ms: lateness(monitor.percentile(50)),
      p99Ms: lateness(monitor.percentile(99)),
      maxMs: lateness(monitor.max),
    }
  }
}

/** What the monitor counts is the time between two of its timers. */
function lateness(ns: number): number {
  return Math.max(0, ns / NS_PER_MS - RESOLUTION_MS)
}
