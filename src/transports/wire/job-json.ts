// JOB, as the wire shows it: the hot path of PULLB (1,000 jobs a reply).
//
//   {"id":  64  ,"queue":"orders","data":  {"n":1}  ,"priority":0, … ,"tags":[]  [,"token":7]  }
//           │   └─ head: per queue name     │       └─ tail: ~250 bytes
//           └─ DecimalRun                   └─ copied as it was pushed
//
// 1. Nothing is allocated per job: numbers are written by hand, bytes are copied.
// 2. Jobs of one reply mostly differ in id and data only. When all fields of a tail equal those of the
//    job before it (`Tail`), its bytes are copied within the output.
// 3. Neighbours with equal tails, of one queue, are a run: from the third job on, everything from a tail to the next
//    job's data is one copy, into which the id is written (`writeAlike`).
// 4. Room is reserved once per job, for the longest that its plain fields can be; what is rare
//    (strings, tags, dependencies) reserves for itself.
//
// In: rows of a `JobSource`. Next: reply-json.ts and events/hub.ts put the result into their lines.

import type { ByteWriter } from '../../engine/byte-writer.ts'
import { jobIdOf, type Seq } from '../../engine/job-id.ts'
import { type JobPage, PAGE_ROWS, type RareFields, RowFlag, rowOf } from '../../engine/job-store.ts'
import type { JobSource, SeqList } from '../../engine/ports.ts'
import { BY_WORDS_MAX, copyWords, Piece, ViewOfLast } from './copy-bytes.ts'
import { DecimalRun } from './decimal.ts'
import { contextIn } from './trace-tags.ts'

const NUMBER_BYTES_MAX = 16
/** Keys and numbers of a job without `queue`, `data` and what is rare. */
const PLAIN_BYTES_MAX = 256 + 12 * NUMBER_BYTES_MAX
/** What a plain job with 13-digit times comes to, for an estimate. */
const PLAIN_BYTES_USUAL = 272
const HEADS_MAX = 1024

const OPEN = new Piece('{"id":')
const PRIORITY = new Piece(',"priority":')
const CREATED_AT = new Piece(',"created_at":')
const RUN_AT = new Piece(',"run_at":')
const STARTED_AT = new Piece(',"started_at":')
const ATTEMPTS = new Piece(',"attempts":')
const MAX_ATTEMPTS = new Piece(',"max_attempts":')
const BACKOFF = new Piece(',"backoff":')
const TTL = new Piece(',"ttl":')
const TIMEOUT = new Piece(',"timeout":')
const NO_OPTIONS = new Piece(',"backoff":0,"ttl":0,"timeout":0')
const NOTHING_RARE = new Piece(
  ',"unique_key":null,"depends_on":[],"progress":0,"progress_msg":null,"tags":[]',
)
const TOKEN = new Piece(',"token":')

/** The values of the tail that was written last in this reply, and where it lies in the output. */
class Tail {
  /** The output that it lies in. */
  bytes: Buffer | null = null
  /** -1: there is none. */
  from = -1
  to = -1
  createdAt = 0
  runAt = 0
  startedAt = 0
  priority = 0
  attempts = 0
  maxAttempts = 0
  backoff = 0
  ttl = 0
  timeout = 0
}

const tail = new Tail()
const outputView = new ViewOfLast()
const payloadView = new ViewOfLast()
const ids = new DecimalRun()
const tokens = new DecimalRun()
const createdTimes = new DecimalRun()
const runTimes = new DecimalRun()
const startTimes = new DecimalRun()
const smallNumbers = new DecimalRun()

const heads = new Map<string, Piece>()
let lastHeadName = ''
let lastHead = new Piece('')

/** `[JOB,JOB…]`. Job i shows the token `firstToken + i`, unless that is -1. */
export function writeJobs(
  out: ByteWriter,
  source: JobSource,
  list: SeqList,
  firstToken: number,
): void {
  const { seqs, count } = list
  out.reserve(estimate(source, list))
  out.byte(91)
  tail.from = -1
  for (let i = 0; i < count; ) {
    if (i > 0) out.byte(44)
    writeOne(out, source, seqs[i] as Seq, firstToken < 0 ? -1 : firstToken + i)
    i++
    if (firstToken < 0 && tail.from >= 0) i += writeAlike(out, source, seqs, i, count)
  }
  out.byte(93)
}

/** Writes the jobs from `i` on that go on the run of the job before; returns how many. */
function writeAlike(
  out: ByteWriter,
  source: JobSource,
  seqs: Float64Array,
  i: number,
  count: number,
): number {
  const first = seqs[i - 1] as Seq
  const page = source.jobs.get(first)
  const firstRow = rowOf(first)
  const length = runLength(page, firstRow, seqs, i, Math.min(count - i, PAGE_ROWS - 1 - firstRow))
  if (length < 2) return 0
  const tailBytes = tail.to - tail.from
  // The tail of the job before, which is a copy of the remembered one.
  const blockFrom = out.length - 1 - tailBytes
  out.byte(44)
  const idOffset = out.length + OPEN.length - blockFrom
  writeOne(out, source, first + 1, -1)
  if (!areIdsAlike(source, first + 1, first + length)) {
    for (let n = 2; n <= length; n++) {
      out.byte(44)
      writeOne(out, source, first + n, -1)
    }
    return length
  }
  // Back to where the second job's data end: the block begins with its tail.
  out.length -= tailBytes + 1
  const blockBytes = out.length - (page.length[firstRow + 1] as number) - blockFrom
  for (let n = 2; n <= length; n++) {
    const row = firstRow + n
    out.reserve(PLAIN_BYTES_MAX + blockBytes + (page.length[row] as number))
    const { bytes } = out
    const view = outputView.of(bytes)
    const at = out.length
    bytes.copyWithin(at, blockFrom, blockFrom + blockBytes)
    ids.put(view, at + idOffset, jobIdOf(first + n, source.shard))
    out.length = putData(bytes, view, at + blockBytes, source, page, row)
  }
  out.reserve(tailBytes + 1)
  out.bytes.copyWithin(out.length, blockFrom, blockFrom + tailBytes)
  out.length += tailBytes
  out.byte(125)
  return length
}

/** As many digits in the last id as in the first, and so many that writing one touches nothing behind it. */
function areIdsAlike(source: JobSource, first: Seq, last: Seq): boolean {
  const digits = String(jobIdOf(first, source.shard)).length
  return ids.isLong && digits === String(jobIdOf(last, source.shard)).length
}

/** How many jobs behind row `first` are its neighbours and differ from it in id and data only. */
function runLength(
  page: JobPage,
  first: number,
  seqs: Float64Array,
  i: number,
  max: number,
): number {
  const firstSeq = seqs[i - 1] as Seq
  const queueNo = page.queue[first]
  if (!hasTail(page, first)) return 0
  let length = 0
  while (length < max) {
    const row = first + length + 1
    if (seqs[i + length] !== firstSeq + length + 1 || page.queue[row] !== queueNo) break
    if (!hasTail(page, row)) break
    length++
  }
  return length
}

/** The remembered tail is this job's too. */
function hasTail(page: JobPage, row: number): boolean {
  if (((page.flags[row] as number) & RowFlag.rare) !== 0) return false
  return (page.progress === null || page.progress[row] === 0) && isSameTail(page, row)
}

/** One JOB; `token` -1: none is shown. */
export function writeJob(out: ByteWriter, source: JobSource, seq: Seq, token: number): void {
  tail.from = -1
  writeOne(out, source, seq, token)
}

/** One more JOB into an output of which nothing that this function wrote has been overwritten since `forgetTail`. */
export function writeJobAgain(out: ByteWriter, source: JobSource, seq: Seq): void {
  writeOne(out, source, seq, -1)
}

export function forgetTail(): void {
  tail.from = -1
}

/** So that a long list is written without growing the output on the way. */
function estimate(source: JobSource, list: SeqList): number {
  const { seqs, count } = list
  if (count === 0) return 2
  let bytes = count * PLAIN_BYTES_USUAL + PLAIN_BYTES_MAX
  for (let i = 0; i < count; i++) {
    const seq = seqs[i] as Seq
    bytes += source.jobs.get(seq).length[rowOf(seq)] as number
  }
  const first = seqs[0] as Seq
  const queueNo = source.jobs.get(first).queue[rowOf(first)] as number
  return bytes + count * headOf(source.queueName(queueNo)).length
}

function writeOne(out: ByteWriter, source: JobSource, seq: Seq, token: number): void {
  const page = source.jobs.get(seq)
  const row = rowOf(seq)
  const length = page.length[row] as number
  const head = headOf(source.queueName(page.queue[row] as number))
  out.reserve(PLAIN_BYTES_MAX + head.length + length)
  const { bytes } = out
  const view = outputView.of(bytes)
  let at = put(OPEN, view, out.length)
  at = ids.put(view, at, jobIdOf(seq, source.shard))
  at = put(head, view, at)
  out.length = putData(bytes, view, at, source, page, row)
  const rare = source.jobs.rareOf(page, seq)
  const progress = page.progress === null ? 0 : (page.progress[row] as number)
  if (rare !== undefined || progress !== 0) {
    putNumbers(out, page, row)
    writeRare(out, rare, progress)
  } else if (tail.from >= 0 && tail.bytes === bytes && isSameTail(page, row)) {
    bytes.copyWithin(out.length, tail.from, tail.to)
    out.length += tail.to - tail.from
  } else {
    putTail(out, page, row)
  }
  closeJob(out, token)
}

function closeJob(out: ByteWriter, token: number): void {
  if (token >= 0) {
    out.reserve(TOKEN.length + NUMBER_BYTES_MAX + 1)
    const view = outputView.of(out.bytes)
    const at = put(TOKEN, view, out.length)
    out.length = tokens.put(view, at, token)
  }
  out.byte(125)
}

function put(piece: Piece, view: DataView, at: number): number {
  copyWords(piece.view, 0, view, at, piece.length)
  return at + piece.length
}

function putData(
  bytes: Buffer,
  view: DataView,
  at: number,
  source: JobSource,
  page: JobPage,
  row: number,
): number {
  const payload = source.payloads.bytesOf(page.slab[row] as number)
  const from = page.from[row] as number
  const length = page.length[row] as number
  if (length <= BY_WORDS_MAX) copyWords(payloadView.of(payload), from, view, at, length)
  else payload.copy(bytes, at, from, from + length)
  return at + length
}

function isSameTail(page: JobPage, row: number): boolean {
  const { startedAt, options } = page
  return (
    page.createdAt[row] === tail.createdAt &&
    page.runAt[row] === tail.runAt &&
    (startedAt === null ? 0 : startedAt[row]) === tail.startedAt &&
    page.priority[row] === tail.priority &&
    page.attempts[row] === tail.attempts &&
    page.maxAttempts[row] === tail.maxAttempts &&
    (options === null
      ? tail.backoff === 0 && tail.ttl === 0 && tail.timeout === 0
      : options.backoff[row] === tail.backoff &&
        options.ttl[row] === tail.ttl &&
        options.timeout[row] === tail.timeout)
  )
}

/** The tail of a job with nothing rare, remembered for the next one. */
function putTail(out: ByteWriter, page: JobPage, row: number): void {
  const { startedAt, options } = page
  tail.bytes = out.bytes
  tail.from = out.length
  tail.createdAt = page.createdAt[row] as number
  tail.runAt = page.runAt[row] as number
  tail.startedAt = startedAt === null ? 0 : (startedAt[row] as number)
  tail.priority = page.priority[row] as number
  tail.attempts = page.attempts[row] as number
  tail.maxAttempts = page.maxAttempts[row] as number
  tail.backoff = options === null ? 0 : (options.backoff[row] as number)
  tail.ttl = options === null ? 0 : (options.ttl[row] as number)
  tail.timeout = options === null ? 0 : (options.timeout[row] as number)
  putNumbers(out, page, row)
  out.length = put(NOTHING_RARE, outputView.of(out.bytes), out.length)
  tail.to = out.length
}

/** `,"priority":…` to `"timeout":…`; the room is there. */
function putNumbers(out: ByteWriter, page: JobPage, row: number): void {
  const { bytes } = out
  const { startedAt, options } = page
  const view = outputView.of(bytes)
  let at = put(PRIORITY, view, out.length)
  at = putInt(view, at, page.priority[row] as number)
  at = put(CREATED_AT, view, at)
  at = createdTimes.put(view, at, page.createdAt[row] as number)
  at = put(RUN_AT, view, at)
  at = runTimes.put(view, at, page.runAt[row] as number)
  at = put(STARTED_AT, view, at)
  at = startTimes.put(view, at, startedAt === null ? 0 : (startedAt[row] as number))
  at = put(ATTEMPTS, view, at)
  at = smallNumbers.put(view, at, page.attempts[row] as number)
  at = put(MAX_ATTEMPTS, view, at)
  at = smallNumbers.put(view, at, page.maxAttempts[row] as number)
  if (options === null) {
    at = put(NO_OPTIONS, view, at)
  } else {
    at = put(BACKOFF, view, at)
    at = smallNumbers.put(view, at, options.backoff[row] as number)
    at = put(TTL, view, at)
    at = smallNumbers.put(view, at, options.ttl[row] as number)
    at = put(TIMEOUT, view, at)
    at = smallNumbers.put(view, at, options.timeout[row] as number)
  }
  out.length = at
}

function putInt(view: DataView, at: number, value: number): number {
  if (value >= 0) return smallNumbers.put(view, at, value)
  view.setUint8(at, 45)
  return smallNumbers.put(view, at + 1, -value)
}

/** `,"unique_key":…` to `"tags":…` of a job that has any of them. */
function writeRare(out: ByteWriter, rare: RareFields | undefined, progress: number): void {
  out.ascii(',"unique_key":')
  out.utf8(JSON.stringify(rare?.uniqueKey ?? null))
  out.ascii(',"depends_on":[')
  out.ascii((rare?.dependsOn ?? []).join(','))
  out.ascii('],"progress":')
  out.uint(progress)
  out.ascii(',"progress_msg":')
  out.utf8(JSON.stringify(rare?.message ?? null))
  out.ascii(',"tags":')
  const tags = rare?.tags ?? '[]'
  out.utf8(tags)
  const context = contextIn(tags)
  if (context === null) return
  out.ascii(`,"traceparent":"${context.traceparent}"`)
  if (context.tracestate !== null) out.ascii(`,"tracestate":"${context.tracestate}"`)
}

/** `,"queue":"orders","data":`. The names of a reply are the same text object, so the test is quick. */
function headOf(name: string): Piece {
  if (name === lastHeadName) return lastHead
  let head = heads.get(name)
  if (head === undefined) {
    if (heads.size >= HEADS_MAX) heads.clear()
    head = new Piece(`,"queue":${JSON.stringify(name)},"data":`)
    heads.set(name, head)
  }
  lastHeadName = name
  lastHead = head
  return head
}
