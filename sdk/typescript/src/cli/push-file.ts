// A file of jobs into a queue: batches of 1,000, a few of them under way, and no more of the file read than these need.
//
//   lines ──▶ batch ──▶ [ ≤ 4 pushBatch under way ] ──▶ counts, refusals by line
//
// What was refused is told by its line. Other jobs of the batch are pushed all the same.

import { BatchError, type ErrorCode, FlashQError } from '../errors.ts'
import { exactText, parseJson } from '../exact-json.ts'
import type { BatchJob, PushOptions } from '../job.ts'
import { JsonText } from '../json-text.ts'
import type { FlashQ } from '../node-flashq.ts'
import type { SourceLine } from './line-source.ts'

interface LineRefusal {
  readonly line: number
  readonly code: ErrorCode
  readonly error: string
}

export interface FileOutcome {
  readonly pushed: number
  readonly refused: LineRefusal[]
  /** Refusals beyond those that are listed. */
  readonly unlisted: number
}

export interface FilePush {
  readonly client: FlashQ
  readonly queue: string
  readonly options: PushOptions
  /** Every line is a whole job with its options, not only its data. */
  readonly wholeJobs: boolean
  readonly signal: AbortSignal
  progress(pushed: number, bytesRead: number): void
}

interface NumberedJob {
  readonly line: number
  readonly job: BatchJob
}

const BATCH_JOBS = 1000
const UNDER_WAY_MAX = 4
const REFUSALS_MAX = 1000

export async function pushLines(
  lines: AsyncIterable<SourceLine>,
  push: FilePush,
): Promise<FileOutcome> {
  const tally = new Tally()
  const underWay = new Set<Promise<void>>()
  let batch: NumberedJob[] = []
  let bytesRead = 0
  const send = async (): Promise<void> => {
    const jobs = batch
    batch = []
    while (underWay.size >= UNDER_WAY_MAX) await Promise.race(underWay)
    const sent = pushBatch(push, jobs, tally).finally(() => {
      underWay.delete(sent)
      push.progress(tally.pushed, bytesRead)
    })
    underWay.add(sent)
    // Its failure is met where it is awaited.
    sent.catch(() => {})
  }
  try {
    for await (const line of lines) {
      if (push.signal.aborted) break
      bytesRead = line.bytesRead
      const job = jobOf(line, push, tally)
      if (job !== null) batch.push(job)
      if (batch.length === BATCH_JOBS) await send()
    }
    if (batch.length > 0 && !push.signal.aborted) await send()
    await Promise.all(underWay)
  } catch (error) {
    await Promise.allSettled(underWay)
    throw new PushStopped(tally.outcome(), error)
  }
  return tally.outcome()
}

/** The file is not pushed to its end. */
export class PushStopped extends Error {
  readonly outcome: FileOutcome

  constructor(outcome: FileOutcome, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.outcome = outcome
  }
}

class Tally {
  pushed = 0
  readonly #refused: LineRefusal[] = []
  #unlisted = 0

  refuse(refusal: LineRefusal): void {
    if (this.#refused.length < REFUSALS_MAX) this.#refused.push(refusal)
    else this.#unlisted += 1
  }

  outcome(): FileOutcome {
    const refused = [...this.#refused].sort((one, other) => one.line - other.line)
    return { pushed: this.pushed, refused, unlisted: this.#unlisted }
  }
}

function jobOf(line: SourceLine, push: FilePush, tally: Tally): NumberedJob | null {
  if (line.text.trim() === '') return null
  try {
    const job = push.wholeJobs
      ? wholeJob(line.text, push.options)
      : dataOnly(line.text, push.options)
    return { line: line.number, job }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    tally.refuse({ line: line.number, code: 'invalid', error: text })
    return null
  }
}

function dataOnly(text: string, options: PushOptions): BatchJob {
  return { ...options, data: new JsonText(text) }
}

function wholeJob(text: string, options: PushOptions): BatchJob {
  const value = parseJson(text, true)
  if (typeof value !== 'object' || value === null || !('data' in value)) {
    throw new SyntaxError('no object with the key "data"')
  }
  return { ...options, ...value, data: new JsonText(exactText(value.data)) }
}

/** Throws when the server could not be asked. */
async function pushBatch(
  push: FilePush,
  jobs: readonly NumberedJob[],
  tally: Tally,
): Promise<void> {
  try {
    await push.client.pushBatch(
      push.queue,
      jobs.map(({ job }) => job),
    )
    tally.pushed += jobs.length
  } catch (error) {
    if (error instanceof BatchError) {
      tally.pushed += jobs.length - error.errors.length
      for (const { index, code, error: text } of error.errors) {
        tally.refuse({ line: jobs[index]?.line ?? 0, code, error: text })
      }
      return
    }
    if (!(error instanceof FlashQError) || error.code !== 'invalid') throw error
    // One job that is wrong spoils its frame: then each is asked about alone.
    await pushOneByOne(push, jobs, tally)
  }
}

async function pushOneByOne(
  push: FilePush,
  jobs: readonly NumberedJob[],
  tally: Tally,
): Promise<void> {
  for (const { line, job } of jobs) {
    const { data, ...options } = job
    try {
      await push.client.push(push.queue, data, options)
      tally.pushed += 1
    } catch (error) {
      if (!(error instanceof FlashQError) || error.retryable || error.maybeExecuted) throw error
      tally.refuse({ line, code: error.code, error: error.message })
    }
  }
}
