// What a job's consumers have noted on their way: the newest lines.

import { limits } from './limits.ts'

export interface LogLine {
  readonly atMs: number
  readonly line: string
}

/** A line without its text, in bytes: about what it takes in memory. */
const LINE_BYTES = 64

export class JobLog {
  /** Oldest first. */
  readonly lines: LogLine[] = []
  /** Lines that were there before these. */
  dropped = 0
  /** About what it takes in memory. It follows from the lines alone. */
  bytes = 0

  add(atMs: number, line: string): void {
    this.lines.push({ atMs, line })
    this.bytes += bytesOf(line)
    if (this.lines.length <= limits.logLinesMax) return
    this.bytes -= bytesOf((this.lines.shift() as LogLine).line)
    this.dropped++
  }
}

function bytesOf(line: string): number {
  return LINE_BYTES + line.length
}
