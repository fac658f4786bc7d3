// Jobs that wait for other jobs, wherever those live.
//
//   child's shard ── ask(parent, child) ──▶ parent's shard          (at push; again after any change of owner)
//   child's shard ◀── tell(child, parent, outcome) ── parent's shard
//
//   completed  the parent is done; with the last one the child is ready
//   failed | cancelled | expired | unknown  the child is dead-lettered, and so are its own children;
//              retried from the DLQ it asks its parents again
//
// Asking and telling are idempotent. An id that was never given out is unknown, so no cycle can be made:
// a parent must exist before its child names it.

import type { JobId, Seq } from './job-id.ts'
import { jobIdOf, seqOfId } from './job-id.ts'
import { JobState, rowOf } from './job-store.ts'
import { limits } from './limits.ts'
import { EventKind, type ParentOutcome } from './ports.ts'
import type { ShardContext } from './shard-context.ts'

const REASONS: Readonly<Record<Exclude<ParentOutcome, 'open' | 'completed'>, string>> = {
  failed: 'failed',
  cancelled: 'was cancelled',
  expired: 'expired',
  unknown: 'does not exist',
}

/** Asks for each parent that the job still waits for. */
export function askParents(ctx: ShardContext, seq: Seq): void {
  const page = ctx.state.jobs.find(seq)
  if (page === undefined || page.state[rowOf(seq)] !== JobState.parked) return
  const open = ctx.state.jobs.rareOf(page, seq)?.openParents
  for (const parent of [...(open ?? [])]) {
    ctx.ports.mail.ask(parent, jobIdOf(seq, ctx.state.shard))
  }
}

/** This shard is asked about its job `parent` by `child`. */
export function asked(ctx: ShardContext, parent: JobId, child: JobId): void {
  const outcome = outcomeOf(ctx, seqOfId(parent))
  if (outcome !== 'open') {
    ctx.ports.mail.tell(child, parent, outcome)
    return
  }
  const children = ctx.state.childrenOf.get(seqOfId(parent))
  if (children?.has(child)) return
  if (children !== undefined && children.size >= limits.childrenMax) {
    ctx.ports.mail.tell(child, parent, 'unknown')
    return
  }
  ctx.record.childAdded(seqOfId(parent), child)
}

/** This shard is told how `parent` of its job `child` ended. */
export function told(ctx: ShardContext, child: JobId, parent: JobId, outcome: ParentOutcome): void {
  const seq = seqOfId(child)
  const page = ctx.state.jobs.find(seq)
  if (outcome === 'open' || page === undefined) return
  const rare = ctx.state.jobs.rareOf(page, seq)
  if (page.state[rowOf(seq)] !== JobState.parked || !rare?.openParents?.has(parent)) return
  const queue = ctx.state.queueOf(page.queue[rowOf(seq)] as number)
  if (outcome === 'completed') {
    ctx.record.parentDone(seq, parent, ctx.nowMs)
    ctx.markDirty(queue)
    return
  }
  const error = `Dependency ${parent} ${REASONS[outcome]}`
  ctx.record.deadLettered(seq, ctx.nowMs, error)
  ctx.emit(EventKind.failed, queue, seq, error)
  tellChildren(ctx, seq, 'failed')
}

/** A job of this shard has ended: whoever waits for it is told. */
export function tellChildren(ctx: ShardContext, seq: Seq, outcome: ParentOutcome): void {
  if (ctx.state.childrenOf.size === 0) return
  const children = ctx.state.childrenOf.get(seq)
  if (children === undefined) return
  const parent = jobIdOf(seq, ctx.state.shard)
  ctx.record.childrenTold(seq)
  for (const child of children) ctx.ports.mail.tell(child, parent, outcome)
}

function outcomeOf(ctx: ShardContext, seq: Seq): ParentOutcome {
  switch (ctx.state.jobs.stateOf(seq)) {
    case JobState.completed:
      return 'completed'
    case JobState.failed:
      return 'failed'
    case JobState.none:
      return ctx.state.wasIssued(seq) ? ctx.state.outcomes.get(seq) : 'unknown'
    default:
      return 'open'
  }
}
