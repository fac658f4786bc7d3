// How often each kind of thing happened to jobs in the shards of one worker, for metrics. Not state: a new worker
// begins at zero. Pushes and completions are state (shard-state.ts) and not counted here.

import { EventKind } from './ports.ts'

const KINDS_MAX = 32

export class EventCounts {
  /** Leases that ran out; those of `timeout` that are none are timeouts of the job. */
  leasesExpired = 0
  private readonly cells = new Float64Array(KINDS_MAX)

  note(kind: EventKind): void {
    const at = 31 - Math.clz32(kind)
    this.cells[at] = (this.cells[at] as number) + 1
  }

  of(kind: EventKind): number {
    return this.cells[31 - Math.clz32(kind)] as number
  }

  get timedOut(): number {
    return this.of(EventKind.timeout) - this.leasesExpired
  }
}
