// An event as streams and webhooks show it: the wire reference's event object, with nothing of the job but what the
// event is about.
//
//   {"event_type":"pushed","queue":"orders","job_id":64,"timestamp":1700000000000,"data":{…}}
//
//   data      of `pushed` the job's data, of `completed` its result when there is one
//   error     of `failed`, `timeout`, `retrying`, `expired`, when there is one
//   progress  of `progress`
//
// Next: events/hub.ts, which renders each event once for all streams

import type { ByteWriter } from '../../engine/byte-writer.ts'
import { jobIdOf, type Seq } from '../../engine/job-id.ts'
import { RowFlag, rowOf } from '../../engine/job-store.ts'
import { EventKind, type JobSource } from '../../engine/ports.ts'
import { copyWords, Piece, ViewOfLast } from './copy-bytes.ts'
import { DecimalRun } from './decimal.ts'

const NUMBER_BYTES_MAX = 16
const TIMESTAMP = new Piece(',"timestamp":')
const DATA = new Piece(',"data":')
const ids = new DecimalRun()
const times = new DecimalRun()
const view = new ViewOfLast()

/** `{"event_type":KIND,"queue":NAME,"job_id":` by the number of the kind. */
export function noteOpenings(queue: string): Piece[] {
  const openings: Piece[] = []
  for (const [name, kind] of Object.entries(EventKind)) {
    openings[kind] = new Piece(`{"event_type":"${name}","queue":${JSON.stringify(queue)},"job_id":`)
  }
  return openings
}

/** Appends the object; `opening` is that of its queue and kind. */
export function writeNote(
  out: ByteWriter,
  opening: Piece,
  kind: EventKind,
  source: JobSource,
  seq: Seq,
  nowMs: number,
  error: string | null,
): void {
  out.reserve(opening.length + TIMESTAMP.length + 2 * NUMBER_BYTES_MAX)
  const target = view.of(out.bytes)
  let at = put(opening, target, out.length)
  at = ids.put(target, at, jobIdOf(seq, source.shard))
  at = put(TIMESTAMP, target, at)
  out.length = times.put(target, at, nowMs)
  if (kind === EventKind.pushed) writeData(out, source, seq)
  else if (kind === EventKind.completed) writeResult(out, source, seq)
  else if (kind === EventKind.progress) {
    out.ascii(`,"progress":${source.jobs.get(seq).progress?.[rowOf(seq)] ?? 0}`)
  }
  if (error !== null) {
    out.ascii(',"error":')
    out.utf8(JSON.stringify(error))
  }
  out.byte(0x7d)
}

function put(piece: Piece, target: DataView, at: number): number {
  copyWords(piece.view, 0, target, at, piece.length)
  return at + piece.length
}

function writeData(out: ByteWriter, source: JobSource, seq: Seq): void {
  const page = source.jobs.get(seq)
  const row = rowOf(seq)
  const from = page.from[row] as number
  copyValue(out, source, page.slab[row] as number, from, page.length[row] as number)
}

function writeResult(out: ByteWriter, source: JobSource, seq: Seq): void {
  const page = source.jobs.get(seq)
  const row = rowOf(seq)
  if (page.results === null || ((page.flags[row] as number) & RowFlag.result) === 0) return
  const { slab, from, length } = page.results
  copyValue(out, source, slab[row] as number, from[row] as number, length[row] as number)
}

function copyValue(
  out: ByteWriter,
  source: JobSource,
  slab: number,
  from: number,
  length: number,
): void {
  out.reserve(DATA.length + length)
  out.length = put(DATA, view.of(out.bytes), out.length)
  out.copy(source.payloads.bytesOf(slab), from, from + length)
}
