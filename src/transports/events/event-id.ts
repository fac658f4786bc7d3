// Where a client is in the events of all workers, as text: the `id` of an event, and what comes back in `Last-Event-ID`.
//
//   0.m5x0k2a1.1f-1.m5x0k2b7.0-2.m5x0jz03.9e
//   │ │        └ the last one that the client has had, numbers in base 36
//   │ └ when the worker began to number its events, in ms
//   └ worker                                 E behind a part: that worker has ended, and the client has all of it
//
// Clients must not look into it.

import { limits } from '../../engine/limits.ts'
import type { FeedStream } from '../../engine/ports.ts'

const BASE = 36
const PARTS_MAX = 256
const PART = /^([0-9a-z]{1,3}\.[0-9a-z]{1,10})\.([0-9a-z]{1,10})(E?)$/

/** Of one stream. */
export interface Place {
  readonly seq: number
  readonly isAll: boolean
}

/** By the names of streams. */
export type Places = ReadonlyMap<string, Place>

export function nameOf({ worker, beganMs }: FeedStream): string {
  return `${worker.toString(BASE)}.${beganMs.toString(BASE)}`
}

export function partOf(name: string, seq: number, isAll: boolean): string {
  return `${name}.${seq.toString(BASE)}${isAll ? 'E' : ''}`
}

export function joinParts(parts: readonly string[]): string {
  return parts.join('-')
}

/** Null: it is none of ours. */
export function readEventId(text: string): Places | null {
  if (text.length > limits.lastEventIdBytesMax) return null
  const parts = text.split('-', PARTS_MAX + 1)
  if (parts.length > PARTS_MAX) return null
  const places = new Map<string, Place>()
  for (const part of parts) {
    const match = PART.exec(part)
    if (match === null) return null
    const [, name = '', digits = '', end = ''] = match
    const seq = Number.parseInt(digits, BASE)
    if (!Number.isSafeInteger(seq)) return null
    places.set(name, { seq, isAll: end !== '' })
  }
  return places
}
