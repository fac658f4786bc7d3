// How long things took: counts per bucket in one typed array, nothing allocated per observation.
//
//   upTo[i-1] < ms <= upTo[i] is counted in cells[i]; what is longer than all of them in the last cell
//
// 1. The bounds are the same everywhere, so that the cells of several workers can be added.

/** In ms. */
export const latencyBoundsMs: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
]

export class LatencyCells {
  readonly cells = new Float64Array(latencyBoundsMs.length + 1)
  sumMs = 0
  count = 0

  observe(ms: number): void {
    let at = 0
    while (at < latencyBoundsMs.length && ms > (latencyBoundsMs[at] as number)) at++
    this.cells[at] = (this.cells[at] as number) + 1
    this.sumMs += ms
    this.count++
  }
}
