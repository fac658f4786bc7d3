// A worker process as the primary sees it.

import type { Worker } from 'node:cluster'
import { randomInt } from 'node:crypto'
import { Socket } from 'node:net'
import { BackOff } from './back-off.ts'
import { InHand } from './in-hand.ts'
import type { ToWorker } from './ipc.ts'

/** A worker's place: its index stays, its process comes and goes. */
export class Child {
  readonly index: number
  /**
   * Of the present process, or of the last one; rises with each. It begins anywhere, so that sessions of an earlier
   * life of this node are not taken for those of this one.
   */
  incarnation = randomInt(2 ** 30)
  process: Worker | null = null
  startedAtMs = 0
  /** Its link socket is up: it can own shards. */
  linked = false
  /** Its listeners are bound. */
  opened = false
  drained = false
  /** It gives away what it has, and gets nothing. */
  leaving = false
  /** It has no connection any more. */
  evacuated = false
  /** By the primary. */
  killed = false
  /** It has streams that hear events. */
  hearing = false
  /** As it last reported. */
  jobs = 0
  /** The newest table that was sent, and the newest that it has applied. */
  sentVersion = 0
  appliedVersion = 0
  restartTimer: NodeJS.Timeout | null = null
  readonly backOff = new BackOff()
  /** Connections that it was given and may not have. */
  inHand: InHand | null = null

  constructor(index: number) {
    this.index = index
  }

  started(process: Worker, nowMs: number): void {
    this.process = process
    this.inHand = new InHand(process.process)
    this.incarnation++
    this.startedAtMs = nowMs
    this.linked = false
    this.opened = false
    this.drained = false
    this.leaving = false
    this.evacuated = false
    this.killed = false
    this.hearing = false
    this.jobs = 0
    this.sentVersion = 0
    this.appliedVersion = 0
  }

  gone(): void {
    this.process = null
    this.linked = false
    this.opened = false
    this.hearing = false
  }

  send(message: ToWorker): void {
    if (this.process === null || !this.process.isConnected()) return
    // A failure to send means that it is dying, which `exit` handles.
    this.process.send(message, () => undefined)
  }

  adopt(holder: number, handle: unknown): void {
    const message: ToWorker = { kind: 'adopt', holder }
    if (!(handle instanceof Socket)) return this.send(message)
    if (this.process === null || !this.process.isConnected()) return void handle.destroy()
    this.inHand?.moves(holder, handle)
    this.process.process.send(message, handle, { keepOpen: false }, () => undefined)
  }

  kill(): void {
    this.killed = true
    this.process?.process.kill('SIGKILL')
  }

  cancelRestart(): void {
    if (this.restartTimer !== null) clearTimeout(this.restartTimer)
    this.restartTimer = null
  }
}
