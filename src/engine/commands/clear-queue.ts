// DRAIN: what waits in a queue is taken out. DELETEQUEUE: all of it, and its settings, so that nothing shows the queue.
//
// Large queues take several turns; the answer comes when all is done. See clearing-step.ts.

import { beginClearing } from '../clearing-step.ts'
import type { Command } from '../command.ts'
import { stateBit } from '../evolve/cleared.ts'
import { JobState } from '../job-store.ts'
import { limits } from '../limits.ts'
import type { Reply } from '../ports.ts'
import type { Queue } from '../queue.ts'
import { checkQueueName } from '../queue-name.ts'
import { refusals } from '../refusal.ts'
import type { ShardContext } from '../shard-context.ts'

const NONE_REFUSED: readonly never[] = []

const WAITING = stateBit(JobState.waiting) | stateBit(JobState.delayed)
const IDLE = WAITING | stateBit(JobState.parked) | stateBit(JobState.failed)
const UNFINISHED = IDLE | stateBit(JobState.active)

export function drainQueue(ctx: ShardContext, command: Command, reply: Reply): void {
  const queue = queueToClear(ctx, command, reply)
  if (queue === null) return
  beginClearing(ctx, {
    queue,
    states: WAITING,
    done: (count) => reply.counted(count, NONE_REFUSED),
    failed: () => reply.refused(refusals.interrupted),
  })
}

export function deleteQueue(ctx: ShardContext, command: Command, reply: Reply): void {
  const queue = queueToClear(ctx, command, reply)
  if (queue === null) return
  if (queue.active > 0 && !command.isForced) return reply.refused(refusals.queueBusy(queue.active))
  // What is handed out meanwhile would be neither deleted nor refused.
  queue.deletions++
  beginClearing(ctx, {
    queue,
    states: command.isForced ? UNFINISHED : IDLE,
    done: (count) => {
      queue.deletions--
      if (ctx.state.findQueue(queue.no) === queue) ctx.record.queueReset(queue)
      ctx.markDirty(queue)
      reply.counted(count, NONE_REFUSED)
    },
    failed: () => {
      queue.deletions--
      reply.refused(refusals.interrupted)
    },
  })
}

/** The queue; null when there is none, or one too many, and that has been answered. */
function queueToClear(ctx: ShardContext, command: Command, reply: Reply): Queue | null {
  const queue = ctx.state.queuesByName.get(command.queue)
  if (queue === undefined) {
    const refusal = checkQueueName(command.queue)
    if (refusal !== null) reply.refused(refusal)
    else reply.counted(0, NONE_REFUSED)
    return null
  }
  if (ctx.clearings.length < limits.clearingsPerShardMax) return queue
  const max = limits.clearingsPerShardMax
  reply.refused(refusals.limitExceeded('queues that are being cleared', max))
  return null
}
