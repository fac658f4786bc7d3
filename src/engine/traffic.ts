// What goes through the doors of one worker: commands, errors, latency, connections. Counted in cells, read by whoever
// makes metrics of them (src/measures.ts).
//
//   commands  [door][op]     +1 per command, by the gate, which knows the op
//   errors    [door][code]   +1 per refused reply, by the door that writes it
//   latency   [door][op]     a sample of them: from the frame's arrival to its reply, waits of pulls included
//
// 1. A frame costs one increment. A clock is read for one frame in `SAMPLE_EVERY` of the line protocol, and nothing is
//    allocated once an op has been seen at a door.

import { EventTraffic } from './event-traffic.ts'
import { LatencyCells } from './latency-cells.ts'
import { opNames } from './op.ts'
import { refusalCodes } from './refusal.ts'

export const Door = { tcp: 0, unix: 1, http: 2, grpc: 3, server: 4 } as const
export type Door = (typeof Door)[keyof typeof Door]

/** By number. `server`: what the server asks of itself. */
export const doorNames = ['tcp', 'unix', 'http', 'grpc', 'server'] as const

const DOORS = doorNames.length
const OPS = opNames.length
const CODES = refusalCodes.length
/** A power of two. */
const SAMPLE_EVERY = 64

const OK_AT = 6
const LETTER_F = 0x66
const QUOTE = 0x22

export class Traffic {
  readonly commands = new Float64Array(DOORS * OPS)
  readonly errors = new Float64Array(DOORS * CODES)
  readonly latency: (LatencyCells | undefined)[] = new Array(DOORS * OPS).fill(undefined)
  /** Open now. */
  readonly connections = new Float64Array(DOORS)
  /** Closed at once: too many, or draining. */
  readonly connectionsRefused = new Float64Array(DOORS)
  /** Tokens that were wrong, or not looked at because there were too many wrong ones. */
  readonly authFailures = new Float64Array(DOORS)
  readonly events = new EventTraffic()
  private frames = 0

  /** `op` 0: what was sent is no command. */
  command(door: Door, op: number): void {
    add(this.commands, door * OPS + op)
  }

  /** Whether this frame's time is to be taken. */
  isSample(): boolean {
    this.frames = (this.frames + 1) & (SAMPLE_EVERY - 1)
    return this.frames === 0
  }

  took(door: Door, op: number, ms: number): void {
    const at = door * OPS + op
    let cells = this.latency[at]
    if (cells === undefined) {
      cells = new LatencyCells()
      this.latency[at] = cells
    }
    cells.observe(ms)
  }

  /** A reply line in `bytes[from..to)`, its newline included or not. */
  replied(door: Door, bytes: Buffer, from: number, to: number): void {
    if (bytes[from + OK_AT] === LETTER_F) this.refused(door, codeAtEnd(bytes, from, to))
  }

  refused(door: Door, code: string): void {
    const at = codeNumbers.get(code)
    if (at === undefined) return
    add(this.errors, door * CODES + at)
    if (code === 'auth_invalid' || code === 'auth_throttled') add(this.authFailures, door)
  }

  /** `count` 1 or -1. */
  connected(door: Door, count: 1 | -1): void {
    add(this.connections, door, count)
  }

  connectionRefused(door: Door): void {
    add(this.connectionsRefused, door)
  }

  /** Every command that was counted, with its door and op; '' for what is no command. */
  *eachCommand(): Generator<{ door: string; op: string; count: number }> {
    for (const [at, count] of this.commands.entries()) {
      if (count > 0) yield { ...nameOf(at), count }
    }
  }

  *eachError(): Generator<{ door: string; code: string; count: number }> {
    for (const [at, count] of this.errors.entries()) {
      if (count === 0) continue
      const door = doorNames[Math.floor(at / CODES)] as string
      yield { door, code: refusalCodes[at % CODES] as string, count }
    }
  }

  *eachLatency(): Generator<{ door: string; op: string; cells: LatencyCells }> {
    for (const [at, cells] of this.latency.entries()) {
      if (cells !== undefined) yield { ...nameOf(at), cells }
    }
  }
}

const codeNumbers = new Map<string, number>(refusalCodes.map((code, at) => [code, at]))

function nameOf(at: number): { door: string; op: string } {
  return { door: doorNames[Math.floor(at / OPS)] as string, op: opNames[at % OPS] ?? '' }
}

/** Of `…,"code":"job_not_found"}`: codes come last, and hold no quotes. */
function codeAtEnd(bytes: Buffer, from: number, to: number): string {
  const end = bytes.lastIndexOf(QUOTE, to - 1)
  if (end <= from) return ''
  const start = bytes.lastIndexOf(QUOTE, end - 1)
  return start < from ? '' : bytes.toString('latin1', start + 1, end)
}

function add(cells: Float64Array, at: number, count = 1): void {
  cells[at] = (cells[at] as number) + count
}
