// The fields of LISTJOBS: types, ranges, and a cursor that an earlier answer gave.

import { JobState, stateNames } from '../../engine/job-store.ts'
import { limits } from '../../engine/limits.ts'
import type { JobQuery } from '../../engine/list/job-query.ts'
import { type ListPlace, readPlace, startOfList } from '../../engine/list/list-place.ts'
import { checkQueueName } from '../../engine/queue-name.ts'
import { Field } from './fields.ts'
import type { FrameFields } from './frame-fields.ts'

const LIMIT_USUAL = 100

/** A query that does no harm when something is wrong; that is in `fields.problem` then. */
export function readQuery(fields: FrameFields): JobQuery {
  return {
    queue: readQueue(fields),
    state: readState(fields),
    tag: readText(fields, Field.tag, 'tag bytes', limits.tagBytesMax),
    sinceMs: fields.optUint(Field.since, Number.MAX_SAFE_INTEGER, 0),
    untilMs: fields.optUint(Field.until, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY),
    text: readText(fields, Field.text, 'bytes of the text', limits.listTextBytesMax),
    limit: fields.optUint(Field.limit, limits.listCountMax, LIMIT_USUAL),
    place: readStart(fields),
  }
}

/** Here and not in a shard, of which there may be any number. */
function readQueue(fields: FrameFields): string | null {
  const queue = fields.optString(Field.queue)
  const refusal = queue === null ? null : checkQueueName(queue)
  if (refusal !== null) fields.fail(refusal)
  return queue
}

function readState(fields: FrameFields): JobState {
  const name = fields.optString(Field.state)
  if (name === null) return JobState.none
  const known = name === 'waitingchildren' ? 'waiting-children' : name
  const state = (stateNames as readonly string[]).indexOf(known)
  if (state > JobState.none) return state as JobState
  fields.wrongType(Field.state, `one of ${stateNames.slice(1).join(', ')}`)
  return JobState.none
}

/** An empty one asks for nothing. */
function readText(
  fields: FrameFields,
  field: Field,
  what: string,
  bytesMax: number,
): string | null {
  const text = fields.optString(field)
  if (text === null || text === '') return null
  if (Buffer.byteLength(text) > bytesMax) fields.overLimit(what, bytesMax)
  return text
}

/** With a cursor, `offset` has had its effect. */
function readStart(fields: FrameFields): ListPlace {
  const skip = fields.optUint(Field.offset, limits.listOffsetMax, 0)
  const cursor = fields.optString(Field.cursor)
  const place = cursor === null ? startOfList(skip) : readPlace(cursor)
  if (place !== null) return place
  fields.wrongType(Field.cursor, 'one that an answer gave')
  return startOfList(0)
}
