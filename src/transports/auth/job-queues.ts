// Whose a job is: of which of these jobs may a principal know?
//
// A job's queue never changes, so it may be asked for before the command is run. A job that is not there, or not any
// more, is nobody's: nothing says whose it was.

import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Caller } from '../caller.ts'
import { frameOf } from '../wire/frames.ts'
import { mayUse, type Principal } from './principal.ts'

/** An answer holds the whole job: so many are in memory at once. */
const AT_ONCE = 16
/** The start of an answer, in which the queue is: a queue's name needs no escapes. */
const START = /^\{"ok":true,"job":(?:null|\{"id":\d+,"queue":"([\w.-]*)")/
const START_BYTES = 512

export class JobQueues {
  private readonly caller: Caller

  constructor(caller: Caller) {
    this.caller = caller
  }

  /** Those of `ids` that are of the principal's queues; or why that can't be said now. */
  async ofPrincipal(
    principal: Principal,
    ids: Iterable<number>,
  ): Promise<ReadonlySet<number> | Refusal> {
    const left = [...new Set(ids)]
    const own = new Set<number>()
    let refusal: Refusal | null = null
    const askOn = async (): Promise<void> => {
      for (let id = left.pop(); id !== undefined && refusal === null; id = left.pop()) {
        const queue = await this.queueOf(id)
        if (typeof queue === 'object') refusal = queue
        else if (queue !== '' && mayUse(principal, queue)) own.add(id)
      }
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, askOn))
    return refusal ?? own
  }

  /** '' when there is no such job. */
  private async queueOf(id: number): Promise<string | Refusal> {
    const { line } = await this.caller.call(frameOf('GETJOB', { id }))
    const start = START.exec(line.toString('latin1', 0, START_BYTES))
    if (start !== null) return start[1] ?? ''
    const { code, error } = JSON.parse(line.toString()) as { code: Refusal['code']; error: string }
    // Only the look has failed: what it was for has not run.
    return code === 'outcome_unknown' ? refusals.unavailable : { code, text: error }
  }
}
