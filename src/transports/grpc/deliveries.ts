// Which stream of this door has which job out, so that the acks of unary calls give their credit back at once.
//
// A job that is acknowledged elsewhere (another worker, another door), or ends by itself, is noticed by its stream later
// (`job-stream.ts`).

import type { JobId } from '../../engine/job-id.ts'

export interface Holder {
  /** The job has left its hands. */
  returned(id: JobId, isCompleted: boolean): void
}

export class Deliveries {
  private readonly holders = new Map<JobId, Holder>()

  get size(): number {
    return this.holders.size
  }

  add(id: JobId, holder: Holder): void {
    this.holders.set(id, holder)
  }

  /** Unless another stream has got it since. */
  remove(id: JobId, holder: Holder): void {
    if (this.holders.get(id) === holder) this.holders.delete(id)
  }

  ended(id: JobId, isCompleted: boolean): void {
    this.holders.get(id)?.returned(id, isCompleted)
  }
}
