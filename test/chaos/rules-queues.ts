// Rules about queues: I9 to I12, and I15.
//
//   I9  paused is paused; not more at a time than the limit     I12 one live job per unique key
//   I10 not more a second than the limit                         I15 counters add up
//   I11 priority, then order of arrival

import { type Delivery, type Evidence, mayBeDone, type Story } from './evidence.ts'
import type { PushOp, QueueOp } from './history.ts'
import type { Complain } from './violation.ts'

export function pauses(evidence: Evidence, complain: Complain): void {
  for (const pause of evidence.queueOps) {
    if (pause.f !== 'pause' || pause.outcome !== 'ok' || evidence.options.lossy) continue
    const resumedMs = Math.min(
      ...evidence.queueOps
        .filter((op) => op.f === 'resume' && op.queue === pause.queue && mayBeDone(op))
        // One that is still unknown may come through at any time.
        .filter((op) => op.outcome === 'unknown' || op.endMs >= pause.startMs)
        .map(({ startMs }) => startMs),
    )
    for (const { queue, startMs, endMs, id } of evidence.deliveries) {
      if (queue === pause.queue && startMs > pause.endMs && endMs < resumedMs) {
        complain('I9', `job ${id} was delivered while ${queue} was paused`)
      }
    }
  }
}

export function concurrency(evidence: Evidence, complain: Complain): void {
  for (const [queue, limits] of limitsOf(evidence, 'concurrency')) {
    const sinceMs = Math.min(...limits.filter(isOk).map(({ endMs }) => endMs))
    const most = Math.max(...limits.filter(mayBeDone).map(({ value }) => value))
    if (limits.some(({ value }) => value === 0)) continue
    const changes: { atMs: number; by: number }[] = []
    for (const { queue: of, startMs, endMs, holdUntilMs } of evidence.deliveries) {
      if (of !== queue || holdUntilMs <= endMs || startMs < sinceMs) continue
      changes.push({ atMs: endMs, by: 1 }, { atMs: holdUntilMs, by: -1 })
    }
    changes.sort((a, b) => a.atMs - b.atMs || a.by - b.by)
    let held = 0
    let peak = 0
    for (const { by } of changes) {
      held += by
      peak = Math.max(peak, held)
    }
    if (peak > most)
      complain('I9', `${queue} had ${peak} jobs active at once, the limit is ${most}`)
  }
}

export function rates(evidence: Evidence, complain: Complain): void {
  for (const [queue, limits] of limitsOf(evidence, 'rate')) {
    const sinceMs = Math.min(...limits.filter(isOk).map(({ endMs }) => endMs))
    const most = Math.max(...limits.filter(mayBeDone).map(({ value }) => value))
    if (limits.some(({ value }) => value === 0)) continue
    const given = evidence.deliveries.filter((d) => d.queue === queue && d.startMs >= sinceMs)
    const excess = busiest(given, most)
    if (excess !== null) complain('I10', `${queue} gave out ${excess}, the limit is ${most}/s`)
  }
}

/** A stretch in which more was delivered than a full bucket and its refill allow. */
function busiest(deliveries: readonly Delivery[], perSecond: number): string | null {
  for (const [i, first] of deliveries.entries()) {
    const ends = deliveries.slice(i).map(({ endMs }) => endMs)
    ends.sort((a, b) => a - b)
    for (const [k, endMs] of ends.entries()) {
      const forMs = endMs - first.startMs
      if (k + 1 > perSecond * (1 + forMs / 1000) + 1e-6) {
        return `${k + 1} jobs in ${Math.round(forMs)} ms`
      }
    }
  }
  return null
}

function limitsOf(evidence: Evidence, f: 'concurrency' | 'rate'): Map<string, QueueOp[]> {
  const byQueue = new Map<string, QueueOp[]>()
  if (evidence.options.lossy) return byQueue
  for (const op of evidence.queueOps) {
    if (op.f === f) byQueue.set(op.queue, [...(byQueue.get(op.queue) ?? []), op])
  }
  for (const [queue, ops] of byQueue) if (!ops.some(isOk)) byQueue.delete(queue)
  return byQueue
}

/** A job that certainly waited in its queue, from the answer to its push until it was asked for. */
interface Waiting {
  readonly push: PushOp
  readonly untilMs: number
}

/** Whoever certainly waited all through a pull, and came before what it got, was passed over. */
export function order(evidence: Evidence, complain: Complain): void {
  const waiting = new Map<string, Waiting[]>()
  for (const push of evidence.pushes) {
    const untilMs = waitsUntilMs(evidence, push)
    if (untilMs <= push.endMs) continue
    const list = waiting.get(push.queue)
    if (list === undefined) waiting.set(push.queue, [{ push, untilMs }])
    else list.push({ push, untilMs })
  }
  for (const list of waiting.values()) list.sort((a, b) => a.push.endMs - b.push.endMs)
  for (const given of evidence.deliveries) {
    const passed = passedOver(evidence, given, waiting.get(given.queue) ?? [])
    if (passed !== null) {
      complain('I11', `job ${given.id} was given out before ${passed.id} (${passed.key})`)
    }
  }
}

/** 0 when it is not certain that it waits at all. */
function waitsUntilMs(evidence: Evidence, push: PushOp): number {
  const isPlain = push.delayMs === 0 && push.ttlMs === 0 && push.dependsOn.length === 0
  const story = evidence.stories.get(push.id)
  const first = story?.deliveries[0]
  // Never seen, or with runs that nobody saw: somebody may have had it before.
  if (push.outcome !== 'ok' || !isPlain || !first || first.attempts > 0) return 0
  return story.runs.some((run) => run.f === 'cancel' && mayBeDone(run)) ? 0 : first.startMs
}

function passedOver(
  evidence: Evidence,
  given: Delivery,
  waiting: readonly Waiting[],
): PushOp | null {
  const mine = evidence.stories.get(given.id)?.push ?? null
  const isFresh = mine?.outcome === 'ok' && given.attempts === 0 && mine.dependsOn.length === 0
  const cameMs = isFresh && mine.delayMs === 0 ? mine.startMs : 0
  for (const { push, untilMs } of waiting) {
    if (push.endMs >= given.startMs) return null
    // Not after it: of one answer, or of answers that may have crossed.
    if (untilMs <= given.endMs || push.priority < given.priority) continue
    if (push.priority === given.priority && push.endMs >= cameMs) continue
    if (evidence.shadows(push.queue, push.startMs, given.endMs) === 0) return push
  }
  return null
}

export function uniqueKeys(evidence: Evidence, complain: Complain): void {
  const byKey = new Map<string, PushOp[]>()
  for (const push of evidence.pushes) {
    if (push.uniqueKey === null) continue
    const place = `${push.queue} ${push.uniqueKey}`
    byKey.set(place, [...(byKey.get(place) ?? []), push])
  }
  for (const [place, pushes] of byKey) {
    for (const push of pushes) {
      if (push.outcome === 'ok') {
        const holder = pushes.find((other) => other !== push && holdsKey(evidence, other, push))
        if (holder !== undefined) {
          complain('I12', `${place}: ${push.id} was taken while ${holder.id} was alive`)
        }
      } else if (push.code === 'duplicate_key' && !evidence.options.lossy) {
        const holder = pushes.find((other) => other !== push && mayHoldKey(evidence, other, push))
        if (holder === undefined) complain('I12', `${place}: ${push.key} was refused for no job`)
      }
    }
  }
}

/** `other` was certainly alive all the time while `push` was taken. */
function holdsKey(evidence: Evidence, other: PushOp, push: PushOp): boolean {
  if (other.outcome !== 'ok' || other.endMs >= push.startMs || other.ttlMs > 0) return false
  const story = evidence.stories.get(other.id)
  const ends = story?.runs.filter((run) => endsLife(run.f) && mayBeDone(run)) ?? []
  if (evidence.options.lossy || ends.some(({ startMs }) => startMs <= push.endMs)) return false
  if (story === undefined) return true
  return !evidence.deadTouched('purgeDlq', story, other.startMs, push.endMs)
}

function mayHoldKey(evidence: Evidence, other: PushOp, push: PushOp): boolean {
  if (!mayBeDone(other) || other.startMs >= push.endMs) return false
  const runs = evidence.stories.get(other.id)?.runs ?? []
  return !runs.some((run) => endsLife(run.f) && run.outcome === 'ok' && run.endMs < push.startMs)
}

function endsLife(f: string): boolean {
  return f === 'ack' || f === 'cancel'
}

/** At rest the counters say what the jobs say. */
export function counters(evidence: Evidence, complain: Complain): void {
  const { final } = evidence.history
  if (final === null || evidence.options.lossy) return
  const expect = (what: string, is: number, least: number, most = least): void => {
    if (is >= least && is <= most) return
    complain(
      'I15',
      `${what} is ${is}, the jobs say ${least === most ? least : `${least} to ${most}`}`,
    )
  }
  const states = [...final.jobs.values()].map(({ state }) => state)
  const count = (state: string): number => states.filter((each) => each === state).length
  const { totals, dead } = final
  const listed = [...dead.values()].flat()
  expect('dlq', totals.dlq, listed.length)
  expect('processing', totals.processing, count('active'))
  expect('delayed', totals.delayed, count('delayed'))
  expect('queued', totals.queued, count('waiting'))
  if (new Set(listed).size < listed.length) complain('I15', 'a job is twice among the dead letters')
  for (const id of listed) {
    const state = final.jobs.get(id)?.state
    if (state !== undefined && state !== 'failed') {
      complain('I15', `job ${id} is ${state}, and among the dead letters`)
    }
  }
  const dying = new Set(listed)
  for (const [id, { state }] of final.jobs) {
    if (state === 'failed' && !dying.has(id)) {
      complain('I15', `job ${id} has failed, and is not among the dead letters`)
    }
  }
  sums(evidence, expect)
}

type Expect = (what: string, is: number, least: number, most: number) => void

/** Totals since the beginning: what is unknown may be counted or not. */
function sums(evidence: Evidence, expect: Expect): void {
  const totals = evidence.history.final?.totals
  if (totals === undefined) return
  const { pushes, stories, runs } = evidence
  const okPushes = pushes.filter(isOk).length
  const unknownPushes = pushes.filter(({ outcome }) => outcome === 'unknown').length
  const isTick = (story: Story): boolean => story.push === null && story.deliveries.length > 0
  const ticks = [...stories.values()].filter(isTick).length
  expect('total_pushed', totals.pushed, okPushes + ticks, okPushes + unknownPushes + ticks)
  const acks = runs.filter(({ f }) => f === 'ack')
  const unknownAcks = acks.filter(({ outcome }) => outcome === 'unknown').length
  const okAcks = acks.filter(isOk).length
  expect('total_completed', totals.completed, okAcks, okAcks + unknownAcks)
}

function isOk(op: { readonly outcome: string }): boolean {
  return op.outcome === 'ok'
}
