// Jobs of a peer at a fixed rate, each with the time at which it was due: the counterpart of `load/relay.ts` for clients that
// only their own library can drive.
//
// 1. Latency is from the due time to the moment the handler has the job, in one process.
// 2. What has not come `settleMs` after the last was sent counts with the time it was waited for, so that a peer
//    that does not keep up never looks quick.

import { payloadBytesMin } from '../load/frames.ts'
import { percentiles } from '../load/percentiles.ts'
import type { PeerResult, PeerSpec } from './spec.ts'

export type RelayOptions = Pick<
  Extract<PeerSpec, { op: 'relay' }>,
  'ratePerSecond' | 'dataBytes' | 'warmupMs' | 'measureMs'
>

/** A job's data; `t` is due, in ms of this process. */
export interface Stamped {
  t: number
  note: string
}

const settleMs = 3000
const pollMs = 5

export class TimedRelay {
  private readonly options: RelayOptions
  private readonly note: string
  private readonly due = new Set<number>()
  private readonly latencies: number[] = []
  private measuredFromMs = 0
  private delivered = 0

  constructor(options: RelayOptions) {
    this.options = options
    this.note = 'x'.repeat(Math.max(0, options.dataBytes - payloadBytesMin))
  }

  /** For the handler, at once when it has a job. */
  has({ t }: Stamped): void {
    if (!this.due.delete(t)) return
    this.delivered += 1
    if (t >= this.measuredFromMs) this.latencies.push(performance.now() - t)
  }

  /** `send` is not awaited before the next job is due. */
  async run(send: (data: Stamped) => Promise<unknown>): Promise<PeerResult> {
    const { ratePerSecond, warmupMs, measureMs } = this.options
    const gapMs = 1000 / ratePerSecond
    const jobs = Math.floor((warmupMs + measureMs) / gapMs)
    const startMs = performance.now()
    this.measuredFromMs = startMs + warmupMs
    await new Promise<void>((resolve, reject) => {
      let sent = 0
      const step = () => {
        const nowMs = performance.now()
        for (; sent < jobs && startMs + sent * gapMs <= nowMs; sent++) {
          const t = startMs + sent * gapMs
          this.due.add(t)
          send({ t, note: this.note }).catch(reject)
        }
        if (sent < jobs) setImmediate(step)
        else resolve()
      }
      step()
    })
    await this.settled()
    const nowMs = performance.now()
    const missing = this.due.size
    for (const t of this.due) if (t >= this.measuredFromMs) this.latencies.push(nowMs - t)
    const perSecond = (this.delivered * 1000) / (nowMs - startMs)
    return { jobs: this.delivered, perSecond, latencyMs: percentiles(this.latencies), missing }
  }

  private settled(): Promise<void> {
    const endMs = performance.now() + settleMs
    return new Promise((resolve) => {
      const look = () => {
        if (this.due.size === 0 || performance.now() > endMs) resolve()
        else setTimeout(look, pollMs)
      }
      look()
    })
  }
}
