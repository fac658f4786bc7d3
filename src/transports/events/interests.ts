// What all streams of this worker ask for together: of each queue, or of all of them, which kinds.

import type { Feed } from '../../engine/ports.ts'
import type { EventFilter } from './filter.ts'

export class Interests {
  private readonly feed: Feed
  /** By queue, how many ask for which mask of kinds. */
  private readonly counts = new Map<string, Map<number, number>>()

  constructor(feed: Feed) {
    this.feed = feed
  }

  /** `done`: it is asked for everywhere. */
  add({ interests, kinds }: EventFilter, done: () => void): void {
    let open = interests.length
    const answered = (): void => {
      if (--open === 0) done()
    }
    for (const queue of interests) {
      const masks = this.counts.get(queue) ?? new Map<number, number>()
      this.counts.set(queue, masks)
      const before = unionOf(masks)
      masks.set(kinds, (masks.get(kinds) ?? 0) + 1)
      // Also when it is nothing more: what was asked for lately may not be answered yet.
      this.feed.hear(queue, before | kinds, answered)
    }
  }

  remove({ interests, kinds }: EventFilter): void {
    for (const queue of interests) {
      const masks = this.counts.get(queue)
      const count = masks?.get(kinds)
      if (masks === undefined || count === undefined) continue
      if (count > 1) {
        masks.set(kinds, count - 1)
        continue
      }
      masks.delete(kinds)
      if (masks.size === 0) this.counts.delete(queue)
      this.feed.hear(queue, unionOf(masks), () => undefined)
    }
  }
}

function unionOf(masks: ReadonlyMap<number, number>): number {
  let union = 0
  for (const kinds of masks.keys()) union |= kinds
  return union
}
