// Calls of a peer's client on several connections at once, again and again, for a time.
//
// Every connection makes one call before the clock starts. A call that is under way when the time is over is
// waited for, and both it and its time count: with few long calls, leaving it out would be a large error.

import type { PeerResult } from './spec.ts'

/** `call` gives the number of jobs that it pushed. With `jobsMax` exactly so many calls are made as that takes. */
export async function timedRounds<T>(
  measureMs: number,
  connections: readonly T[],
  call: (connection: T) => Promise<number>,
  jobsMax = Number.POSITIVE_INFINITY,
): Promise<PeerResult> {
  const firsts = await Promise.all(connections.map(call))
  const first = firsts.reduce((a, b) => a + b, 0)
  const perCall = firsts[0] ?? 1
  const startMs = performance.now()
  let asked = first
  let jobs = 0
  const loop = async (connection: T) => {
    while (performance.now() - startMs < measureMs && asked < jobsMax) {
      asked += perCall
      const pushed = await call(connection)
      jobs += pushed
    }
  }
  await Promise.all(connections.map(loop))
  const perSecond = (jobs * 1000) / (performance.now() - startMs)
  return { jobs: jobs + first, perSecond }
}
