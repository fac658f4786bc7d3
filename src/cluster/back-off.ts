// How long to wait before a process that died is started again.
//
// The first restart is at once. A process that dies again before it has lived `STEADY_MS` crash-loops,
// and waits twice as long each time.

const STEADY_MS = 10_000
const FIRST_DELAY_MS = 250
const DELAY_MS_MAX = 30_000

export class BackOff {
  /** Deaths in a row, each before its time. */
  deaths = 0

  /** It died after so long: the time until its restart. */
  died(livedMs: number): number {
    this.deaths = livedMs >= STEADY_MS ? 1 : this.deaths + 1
    if (this.deaths === 1) return 0
    return Math.min(DELAY_MS_MAX, FIRST_DELAY_MS * 2 ** (this.deaths - 2))
  }
}
