// How far a long command is, on stderr of a terminal; nowhere else.
//
//   [##########··········]  50%  500,000 jobs  120,000/s

import { countText, rateText } from './amounts.ts'
import type { Io } from './io.ts'

const CELLS = 24
const REDRAW_MS = 100
const CLEAR = '\r\u001b[2K'

export class ProgressBar {
  readonly #io: Io
  readonly #shown: boolean
  readonly #startMs: number
  #drawnMs = Number.NEGATIVE_INFINITY

  constructor(io: Io, nowMs: number, shown: boolean) {
    this.#io = io
    this.#shown = shown && io.stderr.isTTY === true
    this.#startMs = nowMs
  }

  /** `share` is from 0 to 1, or null when the end is not known. */
  show(share: number | null, jobs: number, nowMs: number): void {
    if (!this.#shown || nowMs - this.#drawnMs < REDRAW_MS) return
    this.#drawnMs = nowMs
    this.#io.stderr.write(CLEAR + barText(share, jobs, nowMs - this.#startMs))
  }

  clear(): void {
    if (this.#shown && Number.isFinite(this.#drawnMs)) this.#io.stderr.write(CLEAR)
  }
}

export function barText(share: number | null, jobs: number, elapsedMs: number): string {
  const rate = elapsedMs <= 0 ? 0 : (jobs * 1000) / elapsedMs
  const numbers = `${countText(jobs)} jobs  ${rateText(rate)}/s`
  if (share === null) return numbers
  const within = Math.min(1, Math.max(0, share))
  const filled = Math.floor(within * CELLS)
  const percent = `${Math.floor(within * 100)}%`.padStart(4)
  return `[${'#'.repeat(filled)}${'·'.repeat(CELLS - filled)}] ${percent}  ${numbers}`
}
