// The number of a session, in whose name jobs and waiting pulls are held: unique among all workers of a node, dead ones
// included.
//
//   | worker 6 bits | incarnation 16 bits | session 31 bits |     a safe integer, never 0

const SESSIONS = 2 ** 31
const INCARNATIONS = 2 ** 16

export interface HolderOrigin {
  readonly worker: number
  readonly incarnation: number
}

/** `session` counts from 1. */
export function holderOf({ worker, incarnation }: HolderOrigin, session: number): number {
  return (worker * INCARNATIONS + (incarnation % INCARNATIONS)) * SESSIONS + (session % SESSIONS)
}

export function workerOfHolder(holder: number): number {
  return Math.floor(holder / (SESSIONS * INCARNATIONS))
}

/** The low 16 bits of it. */
export function incarnationOfHolder(holder: number): number {
  return Math.floor(holder / SESSIONS) % INCARNATIONS
}
