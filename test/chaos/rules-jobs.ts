// Rules about single jobs: I1 to I8.
//
//   I1 nothing acknowledged is lost      I5 one holder at a time
//   I2 nothing from nowhere              I6 an old token does nothing
//   I3 completed once, and for good      I7 not before its time
//   I4 tokens and runs are counted       I8 not before its parents

import { type Delivery, type Evidence, mayBeDone, type Story, shardOf } from './evidence.ts'
import type { RunOp } from './history.ts'
import { cronDataOf } from './rules-cron.ts'
import type { Complain } from './violation.ts'

/** Without a backoff the server retries at once so many times, and then pauses. */
const QUICK_RETRIES = 3
const RETRY_PAUSE_MS = 1000
const BACKOFF_EXPONENT_MAX = 10

export function lost(evidence: Evidence, complain: Complain): void {
  const { history, options } = evidence
  if (options.lossy || history.final === null) return
  for (const story of evidence.stories.values()) {
    const { push, final, id } = story
    // What was seen once counts like what was acknowledged.
    if (push === null || (push.outcome !== 'ok' && story.deliveries.length === 0)) continue
    if (final === null) complain('I1', `${name(story)} was not looked for at the end`)
    else if (final.state === 'unknown' && !mayBeGone(evidence, story)) {
      complain('I1', `${name(story)} is gone: pushed at ${at(push.startMs)}, ${push.outcome}`)
    } else if (options.drained && !isOver(final.state)) {
      complain('L1', `job ${id} (${push.key}) is ${final.state} after the drain`)
    }
  }
}

/** It expired, or was cancelled, or purged. */
function mayBeGone(evidence: Evidence, story: Story): boolean {
  if ((story.push?.ttlMs ?? 0) > 0) return true
  if (story.runs.some((run) => run.f === 'cancel' && mayBeDone(run))) return true
  return evidence.deadTouched('purgeDlq', story, 0, Number.POSITIVE_INFINITY)
}

function isOver(state: string): boolean {
  return state === 'completed' || state === 'failed' || state === 'unknown'
}

export function fromNowhere(evidence: Evidence, complain: Complain): void {
  const idByKey = new Map<string, number>()
  for (const story of evidence.stories.values()) {
    const { push } = story
    const [first] = story.deliveries
    if (push === null) continue
    const other = idByKey.get(push.key)
    if (other !== undefined) complain('I2', `${push.key} is two jobs: ${other} and ${story.id}`)
    idByKey.set(push.key, story.id)
    if (first === undefined) continue
    if (push.outcome === 'refused') {
      complain('I2', `${name(story)} runs, but was refused (${push.code})`)
    }
    if (push.id !== 0 && push.id !== story.id) {
      complain('I2', `${push.key} was acknowledged as ${push.id} and delivered as ${story.id}`)
    }
    for (const seen of story.deliveries) {
      if (seen.data !== push.data) complain('I2', `the data of ${name(story)} is not as it was`)
      if (seen.queue !== push.queue || seen.priority !== push.priority) {
        complain('I2', `${name(story)} came with another queue or priority`)
      }
      if (seen.createdAtMs !== first.createdAtMs) complain('I2', `${name(story)} was made anew`)
    }
  }
  const crons = cronData(evidence)
  for (const story of evidence.stories.values()) {
    const [first] = story.deliveries
    if (story.push !== null || first === undefined) continue
    if (!crons.has(`${first.queue} ${first.data}`)) {
      complain('I2', `job ${story.id} of ${first.queue} comes from nowhere: ${first.data}`)
    }
  }
}

function cronData(evidence: Evidence): Set<string> {
  const known = new Set<string>()
  for (const op of evidence.history.ops) {
    if (op.f === 'cron' && mayBeDone(op)) known.add(`${op.queue} ${cronDataOf(op.name)}`)
  }
  return known
}

export function completedOnce(evidence: Evidence, complain: Complain): void {
  const { history, options } = evidence
  for (const story of evidence.stories.values()) {
    const acks = story.runs.filter((run) => run.f === 'ack' && mayBeDone(run))
    const good = acks.filter(({ outcome }) => outcome === 'ok')
    if (good.length > 1) complain('I3', `${name(story)} was completed ${good.length} times`)
    const [first] = good
    if (first !== undefined) afterEnd(story, first, complain)
    if (options.lossy || history.final === null || story.final === null) continue
    const { state, result } = story.final
    if (first !== undefined && state !== 'completed') {
      complain('I3', `${name(story)} was completed at ${at(first.endMs)}, and is ${state}`)
    }
    if (state !== 'completed') continue
    if (acks.length === 0) complain('I3', `${name(story)} is completed, but nobody did it`)
    else if (!acks.some((each) => each.result === result) || (first && first.result !== result)) {
      complain('I3', `${name(story)} has a result that is not of its ack: ${result}`)
    }
  }
}

function afterEnd(story: Story, ack: RunOp, complain: Complain): void {
  for (const delivery of story.deliveries) {
    if (delivery.startMs > ack.endMs) complain('I3', `${name(story)} runs after its completion`)
  }
  for (const run of story.runs) {
    if (run.startMs > ack.endMs && run.outcome === 'ok') {
      complain('I3', `${name(story)} took a ${run.f} after its completion`)
    }
  }
}

export function tokensAndRuns(evidence: Evidence, complain: Complain): void {
  const holders = new Map<string, Delivery>()
  const newest = new Map<number, number>()
  // Deliveries in the order in which they ended: the highest token of a shard so far.
  const ended = [...evidence.deliveries].sort((a, b) => a.endMs - b.endMs)
  let next = 0
  for (const delivery of evidence.deliveries) {
    const shard = shardOf(delivery.id)
    for (; next < ended.length && (ended[next] as Delivery).endMs < delivery.startMs; next++) {
      const { id, token } = ended[next] as Delivery
      newest.set(shardOf(id), Math.max(newest.get(shardOf(id)) ?? 0, token))
    }
    const place = `${shard}/${delivery.token}`
    const other = holders.get(place)
    if (other !== undefined) {
      complain('I4', `token ${delivery.token}: job ${other.id} and then job ${delivery.id}`)
    }
    holders.set(place, delivery)
    if (!evidence.options.lossy && delivery.token < (newest.get(shard) ?? 0)) {
      complain('I4', `token ${delivery.token} of job ${delivery.id} is older than one before it`)
    }
  }
  for (const story of evidence.stories.values()) runsOf(evidence, story, complain)
}

function runsOf(evidence: Evidence, story: Story, complain: Complain): void {
  let before: Delivery | null = null
  const max = story.push?.maxAttempts ?? 0
  for (const delivery of story.deliveries) {
    const { attempts, startMs, endMs } = delivery
    if (max > 0 && attempts >= max) {
      complain('I4', `${name(story)} runs, with ${attempts} of ${max} runs counted`)
    }
    // Answers that crossed on the way say nothing about which was first.
    if (before !== null && before.endMs >= startMs) continue
    const fromMs = before?.startMs ?? story.push?.startMs ?? 0
    const unseen = evidence.shadows(delivery.queue, fromMs, endMs)
    const most = (before === null ? 0 : before.attempts + 1) + unseen
    if (attempts > most) {
      complain('I4', `${name(story)} has ${attempts} runs counted, at most ${most} were made`)
    }
    if (before !== null && !evidence.deadTouched('retryDlq', story, fromMs, endMs)) {
      const least = before.attempts + (mayBeUncounted(story, before) ? 0 : 1)
      if (attempts < least) {
        complain('I4', `${name(story)} has ${attempts} runs counted after ${least}`)
      }
    }
    before = delivery
  }
}

/** The job may have gone back to its queue with no run counted. */
function mayBeUncounted(story: Story, delivery: Delivery): boolean {
  if (delivery.doubtful || delivery.pull.releaseOnClose) return true
  return story.runs.some(
    (run) => run.f === 'release' && run.token === delivery.token && mayBeDone(run),
  )
}

export function oneHolder(evidence: Evidence, complain: Complain): void {
  for (const story of evidence.stories.values()) {
    for (const holder of story.deliveries) {
      for (const other of story.deliveries) {
        if (other === holder || other.startMs < holder.endMs) continue
        if (other.endMs < holder.holdUntilMs) {
          complain('I5', `${name(story)} was delivered again while ${holder.token} held it`)
        }
      }
    }
    for (const run of story.runs) refusedHolder(evidence, story, run, complain)
  }
}

/** A consumer that certainly holds a job is believed, also after a crash of the server. */
function refusedHolder(evidence: Evidence, story: Story, run: RunOp, complain: Complain): void {
  if (run.outcome !== 'refused' || evidence.options.lossy) return
  if (!['stale_token', 'job_not_found', 'job_not_active'].includes(run.code)) return
  const holder = story.deliveries.find(({ token }) => token === run.token)
  if (holder === undefined || run.endMs >= holder.holdUntilMs) return
  complain('I5', `${name(story)}: its holder's ${run.f} was refused (${run.code})`)
}

export function oldTokens(evidence: Evidence, complain: Complain): void {
  for (const story of evidence.stories.values()) {
    for (const run of story.runs) {
      if (run.outcome !== 'ok' || run.token === 0) continue
      const newer = story.deliveries.find((d) => d.token > run.token && d.endMs < run.startMs)
      if (newer !== undefined) {
        complain('I6', `${name(story)}: ${run.f} with ${run.token}, but ${newer.token} holds it`)
      }
      if (!story.deliveries.some(({ token }) => token === run.token)) {
        complain('I6', `${name(story)}: ${run.f} with ${run.token}, which nobody was given`)
      }
    }
  }
}

export function notEarly(evidence: Evidence, complain: Complain): void {
  const { earlyMs } = evidence.options
  for (const story of evidence.stories.values()) {
    const { push, deliveries } = story
    if (push === null) continue
    for (const { endMs } of deliveries) {
      if (endMs + earlyMs < push.startMs + push.delayMs) {
        complain('I7', `${name(story)} came ${push.startMs + push.delayMs - endMs} ms early`)
      }
    }
    for (const run of story.runs) {
      if (run.f !== 'fail' || run.outcome !== 'ok') continue
      const failed = deliveries.find(({ token }) => token === run.token)
      if (failed === undefined) continue
      const dueMs = run.startMs + pauseAfter(push.backoffMs, failed.attempts + 1)
      for (const { startMs, endMs } of deliveries) {
        if (startMs < run.endMs || endMs + earlyMs >= dueMs) continue
        if (evidence.deadTouched('retryDlq', story, run.startMs, endMs)) continue
        complain('I7', `${name(story)} was retried ${dueMs - endMs} ms early`)
      }
    }
  }
}

function pauseAfter(backoffMs: number, runs: number): number {
  if (backoffMs === 0) return runs <= QUICK_RETRIES ? 0 : RETRY_PAUSE_MS
  return backoffMs * 2 ** Math.min(runs - 1, BACKOFF_EXPONENT_MAX)
}

export function parentsFirst(evidence: Evidence, complain: Complain): void {
  for (const story of evidence.stories.values()) {
    for (const parent of story.push?.dependsOn ?? []) {
      const acks = evidence.stories.get(parent)?.runs.filter((run) => run.f === 'ack') ?? []
      const doneMs = Math.min(...acks.filter(mayBeDone).map(({ startMs }) => startMs))
      if (story.deliveries.some(({ endMs }) => endMs < doneMs)) {
        complain('I8', `${name(story)} ran before its parent ${parent} was done`)
      }
    }
  }
}

function name(story: Story): string {
  return story.push === null ? `job ${story.id}` : `job ${story.id} (${story.push.key})`
}

function at(ms: number): string {
  return `${Math.round(ms)} ms`
}
