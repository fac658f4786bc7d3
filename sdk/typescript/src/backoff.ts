// Exponential back-off with full jitter: a random time below base * 2^attempt, so that the many clients of a
// restarted server do not come back together. (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)

const EXPONENT_MAX = 30

/** `attempt` counts from 0; `random` is in [0, 1). */
export function backoffMs(
  attempt: number,
  baseMs: number,
  maxMs: number,
  random: number = Math.random(),
): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, EXPONENT_MAX))
  return Math.floor(random * ceiling)
}
