// How a job's last run ended, as JSON: `,"result":…,"error":…,"finished_at":…`.
//
// The result is copied as it was acknowledged; each is null where there is none, or the job's body is gone.
//
// Neighbours: job-json.ts writes the job itself, reply-json.ts puts both into a line.

import type { ByteWriter } from '../../engine/byte-writer.ts'
import type { Seq } from '../../engine/job-id.ts'
import {
  endedAtMs,
  type JobPage,
  JobState,
  RowFlag,
  rowOf,
  stateNames,
} from '../../engine/job-store.ts'
import type { JobSource } from '../../engine/ports.ts'
import { writeJob } from './job-json.ts'

const NOTHING = ',"result":null,"error":null,"finished_at":null'

/** A JOB with its state and, once it is finished, its end, as LISTJOBS shows it. */
export function writeListed(out: ByteWriter, source: JobSource, seq: Seq): void {
  writeJob(out, source, seq, -1)
  // The brace that closes the job.
  out.length--
  const page = source.jobs.get(seq)
  const state = page.state[rowOf(seq)] as JobState
  out.ascii(`,"state":"${stateNames[state]}"`)
  if (state === JobState.completed || state === JobState.failed) writeEnd(out, source, seq)
  out.ascii('}')
}

/** `seq` -1: there is no such job. */
export function writeEnd(out: ByteWriter, source: JobSource, seq: Seq): void {
  const page = seq < 0 ? undefined : source.jobs.find(seq)
  if (page === undefined) return out.ascii(NOTHING)
  const row = rowOf(seq)
  out.ascii(',"result":')
  writeResult(out, source, page, row)
  out.ascii(',"error":')
  out.utf8(JSON.stringify(source.jobs.rareOf(page, seq)?.error ?? null))
  out.ascii(',"finished_at":')
  const atMs = endedAtMs(page, row)
  if (atMs === 0) out.ascii('null')
  else out.uint(atMs)
}

function writeResult(out: ByteWriter, source: JobSource, page: JobPage, row: number): void {
  const { results } = page
  if (results === null || ((page.flags[row] as number) & RowFlag.result) === 0) {
    return out.ascii('null')
  }
  const from = results.from[row] as number
  const bytes = source.payloads.bytesOf(results.slab[row] as number)
  out.copy(bytes, from, from + (results.length[row] as number))
}
