// Whether a principal may give a command: by its scope, by its queue, or by the queue of the jobs that it names.
//
// A job's queue never changes, so it may be asked for before the command is run. A job of a queue that the principal
// may not use is answered like one that does not exist.
//
// Next: principal.ts decides; caller.ts asks

import type { OpName } from '../../engine/op.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Caller } from '../caller.ts'
import { frameOf } from '../wire/frames.ts'
import { authorize, mayUse, type Principal } from './principal.ts'

/** What a command is about. */
export interface Subject {
  readonly queue?: string
  readonly ids?: readonly number[]
}

export class Admission {
  private readonly caller: Caller

  constructor(caller: Caller) {
    this.caller = caller
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
    const mays = await Promise.all(ids.map((id) => this.mayUseJob(principal, id)))
    const hidden = mays.indexOf(false)
    return hidden < 0 ? null : refusals.jobNotFound(ids[hidden] as number)
  }

  private async mayUseJob(principal: Principal, id: number): Promise<boolean> {
    const { line } = await this.caller.call(frameOf('GETJOB', { id }))
    const reply = JSON.parse(line.toString()) as { ok: boolean; job?: { queue: string } | null }
    if (!reply.ok) return false
    return reply.job ? mayUse(principal, reply.job.queue) : true
  }
}
