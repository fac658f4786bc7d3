// Which jobs LISTJOBS asks for, and from where on.

import type { JobState } from '../job-store.ts'
import { type ListPlace, readPlace, writePlace } from './list-place.ts'

export interface JobQuery {
  /** Null: of every queue. */
  readonly queue: string | null
  /** `none`: in every state. */
  readonly state: JobState
  readonly tag: string | null
  /** Created from then to then, both included; 0 and Infinity when not given. */
  readonly sinceMs: number
  readonly untilMs: number
  /** What the bytes of its data hold. */
  readonly text: string | null
  /** How many. */
  readonly limit: number
  readonly place: ListPlace
}

/** For another worker. */
export function queryText(query: JobQuery): string {
  return JSON.stringify({ ...query, place: writePlace(query.place) })
}

export function queryOf(text: string): JobQuery {
  const query = JSON.parse(text) as JobQuery & { place: string; untilMs: number | null }
  const place = readPlace(query.place)
  if (place === null) throw new Error('a query without a place')
  return { ...query, untilMs: query.untilMs ?? Number.POSITIVE_INFINITY, place }
}
