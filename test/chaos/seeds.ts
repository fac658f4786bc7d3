// Which seeds the runs of a file take: fixed ones, so that a failure is the same for everybody, or the one asked for.

/** `CHAOS_SEED=n`: n alone. `CHAOS_RUNS=n`: n fresh ones. Otherwise 1 … count. */
export function seedsOf(count: number): number[] {
  const asked = process.env['CHAOS_SEED']
  if (asked !== undefined) return [Number(asked)]
  const runs = process.env['CHAOS_RUNS']
  const first = runs === undefined ? 1 : Date.now() % 1_000_000
  return Array.from({ length: Number(runs ?? count) }, (_, n) => first + n)
}
