// `pushBatch`: one call for many jobs, in as many PUSHB frames as the server's limits ask for.

import { BATCH_CALLS_MAX, BATCH_CHARS_MAX } from './batch-request.ts'
import type { Command } from './command.ts'
import { BatchError, FlashQError, type ItemError } from './errors.ts'
import type { BatchJob } from './job.ts'
import { jobFieldsText } from './job-text.ts'
import { valueText } from './json-text.ts'
import { type Reply, readIds, readItemErrors, unexpected } from './reply.ts'

/** What became of one frame's jobs; indexes count within the frame. */
export interface PushManyPart {
  readonly ids: readonly number[]
  readonly errors: readonly ItemError[]
}

export interface PushManyFrame {
  readonly command: Command
  readonly size: number
}

/** Throws when some `data` is no JSON. */
export function pushManyFrames(queue: string, jobs: readonly BatchJob[]): PushManyFrame[] {
  const frames: PushManyFrame[] = []
  const head = `,"queue":${valueText(queue)},"jobs":[`
  let text = ''
  let size = 0
  for (const job of jobs) {
    const fields = jobFieldsText(job.data, job)
    if (size === BATCH_CALLS_MAX || (size > 0 && text.length + fields.length > BATCH_CHARS_MAX)) {
      frames.push({ command: pushbCommand(`${head}${text}]`), size })
      text = ''
      size = 0
    }
    text += size === 0 ? `{${fields}}` : `,{${fields}}`
    size += 1
  }
  if (size > 0) frames.push({ command: pushbCommand(`${head}${text}]`), size })
  return frames
}

export function readPushManyPart(reply: Reply): PushManyPart {
  return { ids: readIds(reply), errors: readItemErrors(reply) }
}

/** The ids of all jobs, in order. Throws a BatchError when some were refused, or the one error when all were. */
export function joinPushMany(
  frames: readonly PushManyFrame[],
  outcomes: readonly PromiseSettledResult<PushManyPart>[],
): number[] {
  const ids: (number | null)[] = []
  const errors: ItemError[] = []
  let unsure = false
  let failedFrames = 0
  let failure: unknown = null
  frames.forEach((frame, place) => {
    const outcome = outcomes[place]
    if (outcome === undefined) return
    if (outcome.status === 'fulfilled') {
      appendPart(frame.size, outcome.value, ids, errors)
      return
    }
    failure ??= outcome.reason
    failedFrames += 1
    const error = asFlashQError(outcome.reason)
    unsure ||= error.maybeExecuted
    for (let index = 0; index < frame.size; index += 1) {
      errors.push({ index: ids.length, error: error.message, code: error.code })
      ids.push(null)
    }
  })
  if (failedFrames > 0 && failedFrames === frames.length) throw failure
  if (errors.length > 0) throw new BatchError(ids, errors, unsure)
  return ids as number[]
}

function appendPart(
  size: number,
  part: PushManyPart,
  ids: (number | null)[],
  errors: ItemError[],
): void {
  if (part.ids.length + part.errors.length !== size) {
    throw unexpected('PUSHB', `${part.ids.length} ids and ${part.errors.length} errors`)
  }
  const base = ids.length
  const refused = new Set(part.errors.map((item) => item.index))
  let accepted = 0
  for (let index = 0; index < size; index += 1) {
    if (refused.has(index)) {
      ids.push(null)
      continue
    }
    ids.push(part.ids[accepted] ?? null)
    accepted += 1
  }
  for (const item of part.errors) errors.push({ ...item, index: base + item.index })
}

function pushbCommand(fields: string): Command {
  return { name: 'PUSHB', fields, effect: 'write' }
}

function asFlashQError(reason: unknown): FlashQError {
  if (reason instanceof FlashQError) return reason
  return new FlashQError('protocol', String(reason), { maybeExecuted: true })
}
