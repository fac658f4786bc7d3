// The JSON that a webhook's receiver gets of an event: six keys, always all of them, in alphabetical order.
//
//   {"data":…,"error":…,"event":"completed","job_id":7,"queue":"mail","timestamp":1700000000000}
//
// It is made of the shard's state alone, so that owner and recovery make the same bytes.

import { jobIdOf, type Seq } from './job-id.ts'
import { type JobPage, RowFlag, rowOf } from './job-store.ts'
import { EventKind } from './ports.ts'
import type { ShardState } from './shard-state.ts'

const NULL = Buffer.from('null')
const names = new Map<number, string>(Object.entries(EventKind).map(([name, kind]) => [kind, name]))

/** The name on the wire; a test of a webhook, which is about no job, is `ping`. */
export function eventName(kind: number): string {
  return names.get(kind) ?? 'ping'
}

/** Of a test: no kind has its number. */
export const PING = 0

export function eventBody(
  state: ShardState,
  kind: number,
  seq: Seq,
  nowMs: number,
  error: string | null,
): Buffer {
  const head = '{"data":'
  const isPing = kind === PING
  const page = isPing ? null : state.jobs.get(seq)
  const queue = page === null ? null : state.queueName(page.queue[rowOf(seq)] as number)
  const id = isPing ? null : jobIdOf(seq, state.shard)
  const rest =
    `,"error":${JSON.stringify(error)},"event":"${eventName(kind)}","job_id":${id}` +
    `,"queue":${JSON.stringify(queue)},"timestamp":${nowMs}}`
  const data = page === null ? NULL : dataOf(state, page, kind, seq)
  return Buffer.concat([Buffer.from(head), data, Buffer.from(rest)])
}

function dataOf(state: ShardState, page: JobPage, kind: number, seq: Seq): Buffer {
  const row = rowOf(seq)
  const { results } = page
  if (kind === EventKind.pushed) {
    return view(state, page.slab[row], page.from[row], page.length[row])
  }
  if (kind === EventKind.progress) {
    const progress = page.progress?.[row] ?? 0
    const message = state.jobs.rareOf(page, seq)?.message ?? null
    return Buffer.from(`{"message":${JSON.stringify(message)},"progress":${progress}}`)
  }
  const hasResult = ((page.flags[row] as number) & RowFlag.result) !== 0
  if (kind !== EventKind.completed || results === null || !hasResult) return NULL
  return view(state, results.slab[row], results.from[row], results.length[row])
}

type Cell = number | undefined

function view(state: ShardState, slab: Cell, from: Cell, length: Cell): Buffer {
  const start = from as number
  return state.payloads.bytesOf(slab as number).subarray(start, start + (length as number))
}
