// Time passing, for whoever must try again later. Injected, so that a test decides when it has passed.

/** Calls `then` after so long, once, unless the returned function was called before. */
export type Delay = (ms: number, then: () => void) => () => void

export const timerDelay: Delay = (ms, then) => {
  const timer = setTimeout(then, ms)
  return () => clearTimeout(timer)
}

export interface BackOffTerms {
  readonly firstMs: number
  readonly msMax: number
}

/**
 * How long to wait before the attempt behind `failures` of them (1, 2, …): doubling between the two bounds, each
 * time somewhere in the upper half, so that shards that failed together do not come back together.
 */
export function backOffMs(terms: BackOffTerms, failures: number, random: () => number): number {
  const most = Math.min(terms.msMax, 2 * terms.firstMs * 2 ** Math.min(failures - 1, 30))
  return most / 2 + (random() * most) / 2
}
