// The state of a shard as text, whole and in a fixed order: what owner, replica and recovery must agree on.
//
// Left out is what may differ: where payload bytes lie, timers, waiting pulls, tombstones, the numbers of crons.

import { createHash } from 'node:crypto'
import type { Seq } from './job-id.ts'
import { type JobPage, RowFlag, rowOf, stateNames } from './job-store.ts'
import type { ShardState } from './shard-state.ts'

export function hashState(state: ShardState): string {
  return createHash('sha256').update(dumpState(state)).digest('hex')
}

export function dumpState(state: ShardState): string {
  const lines = [
    `shard ${state.shard} first ${state.firstSeq} next ${state.nextSeq} token ${state.nextToken}`,
    `waiting ${state.waiting} delayed ${state.delayed} active ${state.active} parked ${state.parked} dead ${state.dead}`,
    `pushed ${state.totalPushed} completed ${state.totalCompleted} failed ${state.totalFailed}`,
    `finished ${state.finished.count} ${state.finishedBytes}`,
    `free queue numbers ${state.freeQueueNos.join(' ')}`,
    `gaps ${state.gaps.all().join(' ')}`,
    ...dumpOutcomes(state),
    ...dumpHolders(state),
    `parked ${[...state.parkedSeqs].sort((a, b) => a - b).join(' ')}`,
  ]
  state.finished.eachRun((seq, count, atMs, bytes) => {
    lines.push(`finished ${seq} ${count} ${atMs} ${bytes}`)
  })
  for (const seq of state.jobs.liveSeqs()) lines.push(dumpJob(state, seq))
  for (const name of [...state.queuesByName.keys()].sort()) lines.push(dumpQueue(state, name))
  lines.push(`lists ${JSON.stringify([[...state.queuesByName.keys()], [...state.crons.keys()]])}`)
  for (const name of [...state.crons.keys()].sort()) {
    const cron = state.crons.get(name)
    lines.push(
      `cron ${JSON.stringify([name, cron?.queue, cron?.text, cron?.priority, cron?.data])} ${cron?.nextRunMs}`,
    )
  }
  for (const [name, tick] of state.cronTicks) lines.push(`tick ${JSON.stringify(name)} ${tick}`)
  lines.push(...dumpWebhooks(state))
  for (const [seq, children] of [...state.childrenOf].sort((a, b) => a[0] - b[0])) {
    lines.push(`children ${seq}: ${[...children].sort((a, b) => a - b).join(' ')}`)
  }
  return `${lines.join('\n')}\n`
}

/** Every one that is not `completed`. */
function dumpOutcomes(state: ShardState): string[] {
  const lines: string[] = []
  state.outcomes.eachOther((seq, outcome) => lines.push(`outcome ${seq} ${outcome}`))
  return [`outcomes from ${state.outcomes.knownFrom}`, ...lines.sort()]
}

/** None where there never was a webhook. */
function dumpWebhooks({ webhooks, outbox, failingSince }: ShardState): string[] {
  if (webhooks.version === 0) return []
  const lines = [`webhooks ${webhooks.toText()}`, `outbox ${outbox.nextNo} ${outbox.bytes}`]
  for (const {
    no,
    webhook,
    event,
    createdAtMs,
    attempts,
    nextMs,
    body,
  } of outbox.entries.values()) {
    lines.push(`delivery ${no} ${webhook} ${event} ${createdAtMs} ${attempts} ${nextMs} ${body}`)
  }
  for (const [no, sinceMs] of failingSince) lines.push(`failing ${no} ${sinceMs}`)
  return lines
}

function dumpHolders({ holders }: ShardState): string[] {
  const lines = holders.holders().map((holder) => {
    const seqs = holders.heldBy(holder).sort((a, b) => a - b)
    return seqs.length === 0 ? '' : `holder ${holder}: ${seqs.join(' ')}`
  })
  return lines.filter((line) => line !== '').sort()
}

function dumpJob(state: ShardState, seq: Seq): string {
  const page = state.jobs.get(seq)
  const row = rowOf(seq)
  const cells = [
    state.queueName(page.queue[row] as number),
    stateNames[page.state[row] as number],
    page.priority[row],
    page.createdAt[row],
    page.runAt[row],
    page.startedAt?.[row] ?? 0,
    page.attempts[row],
    page.maxAttempts[row],
    page.options?.backoff[row] ?? 0,
    page.options?.ttl[row] ?? 0,
    page.options?.timeout[row] ?? 0,
    page.progress?.[row] ?? 0,
    page.token?.[row] ?? 0,
    ...dumpLease(page, row),
  ]
  const rare = state.jobs.rareOf(page, seq)
  const rest = [
    rare?.uniqueKey ?? null,
    rare?.dependsOn ?? null,
    rare?.openParents ? [...rare.openParents].sort((a, b) => a - b) : null,
    rare?.tags ?? null,
    rare?.message ?? null,
    rare?.error ?? null,
    text(state, page.slab[row] as number, page.from[row] as number, page.length[row] as number),
    dumpResult(state, page, row),
    ...(rare?.logs ? [rare.logs.dropped, rare.logs.lines] : []),
  ]
  return `job ${seq} ${cells.join(' ')} ${JSON.stringify(rest)}`
}

function dumpLease(page: JobPage, row: number): (number | undefined)[] {
  const flags = page.flags[row] as number
  const leased = (flags & RowFlag.leased) !== 0
  const held = (flags & RowFlag.held) !== 0
  return [
    leased ? page.leases?.lengthMs[row] : 0,
    leased ? page.leases?.untilMs[row] : 0,
    held ? page.leases?.holder[row] : 0,
  ]
}

function dumpResult(state: ShardState, page: JobPage, row: number): string | null {
  const { results } = page
  if (results === null || ((page.flags[row] as number) & RowFlag.result) === 0) return null
  return text(
    state,
    results.slab[row] as number,
    results.from[row] as number,
    results.length[row] as number,
  )
}

function text(state: ShardState, slab: number, from: number, length: number): string {
  return state.payloads.bytesOf(slab).toString('utf8', from, from + length)
}

function dumpQueue(state: ShardState, name: string): string {
  const queue = state.queuesByName.get(name)
  if (queue === undefined) return ''
  const cells = [
    queue.no,
    queue.ready.live,
    queue.delayed,
    queue.active,
    queue.parked,
    queue.finished,
    queue.used,
    queue.paused,
    queue.concurrency,
    queue.rate === null ? null : [queue.rate.limit, queue.rate.tokens, queue.rate.refilledAtMs],
    [...queue.dead],
    [...queue.keys].sort((a, b) => a[1] - b[1]),
  ]
  return `queue ${name} ${JSON.stringify(cells)}`
}
