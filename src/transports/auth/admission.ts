// Whether a principal may give a command that a door has read: by its scope, by its queue, or by the queue of the jobs
// that it names. A job of a queue that the principal may not use is answered like one that does not exist.
//
// Next: principal.ts decides; guard.ts for frames, which also answers for a part of what they ask

import type { OpName } from '../../engine/op.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Caller } from '../caller.ts'
import { JobQueues } from './job-queues.ts'
import { authorize, type Principal } from './principal.ts'

/** What a command is about. */
export interface Subject {
  readonly queue?: string
  readonly ids?: readonly number[]
}

export class Admission {
  private readonly jobQueues: JobQueues

  constructor(caller: Caller) {
    this.jobQueues = new JobQueues(caller)
  }

  /** Null: they may. A promise only where queues of jobs have to be asked for. */
  admit(
    principal: Principal,
    op: OpName,
    subject: Subject,
  ): Refusal | null | Promise<Refusal | null> {
    const refusal = authorize(principal, op, subject.queue ?? null)
    if (refusal !== null || principal.queues === null || subject.ids === undefined) return refusal
    return this.admitJobs(principal, subject.ids)
  }

  private async admitJobs(principal: Principal, ids: readonly number[]): Promise<Refusal | null> {
    const own = await this.jobQueues.ofPrincipal(principal, ids)
    if ('code' in own) return own
    const hidden = ids.find((id) => !own.has(id))
    return hidden === undefined ? null : refusals.jobNotFound(hidden)
  }
}
