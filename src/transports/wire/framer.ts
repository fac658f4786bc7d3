// The bytes of a connection become frames.
//
//   In:   chunks as the socket delivers them
//   Out:  one frame at a time: `bytes[from..to)`, a line without its newline
//   Next: scan.ts
//
//   chunk 1  …\n {"cmd":"PUSH",…}\n {"cm           a frame within a chunk is handed out in place;
//   chunk 2  d":"PULL",…}\n …                      one over several is put together in `partial`
//
// 1. Pull style: `feed` a chunk, then `next` until it says false. So the caller can stop in the middle of a chunk,
//    and a limit that it raises (after AUTH) holds from the next frame on.
// 2. The byte at `to` exists and is `\n` or `\r`: the scanner's sentinel. Trailing `\r` are stripped.
// 3. A frame in a chunk is valid as long as the chunk; one in `partial` until `next` of any framer is called.
// 4. A line of more than `frameBytesMax` bytes (and one more for a `\r`) sets `tooLarge`, whether or not its
//    newline has come; the framing is lost, and nothing more is handed out.
// 5. `partial` holds at most one unfinished line, and is given back after a large one. That of a long line is an area
//    in the memory of the scanning kernel when one is free; who has read its last byte must `close` the framer.

import { isArea, leaveArea, rentArea, type Tenant } from './line-areas.ts'
import { lineBytesMax } from './scan-kernel.ts'

const NEWLINE = 0x0a
const RETURN = 0x0d

const PARTIAL_BYTES_MIN = 4 * 1024
/** A `partial` of up to this size is kept for the next line. */
const PARTIAL_BYTES_KEPT = 256 * 1024

/** Lines from this size on are put together in an area, if there is one. */
const AREA_BYTES_MIN = 8 * 1024

/** A newline as near as this is found sooner by hand than by a call into the runtime. */
const NEAR_BYTES = 128

const NO_BYTES = Buffer.alloc(0)

export class Framer implements Tenant {
  frameBytesMax: number
  tooLarge = false

  /** The frame that `next` or `end` has found. */
  bytes: Buffer = NO_BYTES
  from = 0
  to = 0

  private chunk: Buffer = NO_BYTES
  private chunkLength = 0
  /** What of `chunk` has been handed out or put into `partial`. */
  private taken = 0
  private partial: Buffer = NO_BYTES
  private partialLength = 0

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax
  }

  /** No byte is left that has not been handed out. */
  get isEmpty(): boolean {
    return this.taken === this.chunkLength && this.partialLength === 0
  }

  /** The next chunk, `chunk[0..length)`. The one before must be used up: `next` has said false. */
  feed(chunk: Buffer, length: number = chunk.length): void {
    if (this.taken < this.chunkLength) throw new Error('the last chunk still holds frames')
    if (this.tooLarge) return
    this.chunk = chunk
    this.chunkLength = length
    this.taken = 0
  }

  /** The chunk's memory is about to be used for another one: what is left of it is copied. */
  keep(): void {
    this.chunk = Buffer.from(this.chunk.subarray(this.taken, this.chunkLength))
    this.chunkLength = this.chunk.length
    this.taken = 0
  }

  /** A copy of what came and was not handed out. */
  left(): Buffer {
    const { partial, partialLength, chunk, chunkLength, taken } = this
    return Buffer.concat([partial.subarray(0, partialLength), chunk.subarray(taken, chunkLength)])
  }

  /** True when there is a further frame; false when `feed` must come first, or the input is `tooLarge`. */
  next(): boolean {
    const { chunk, chunkLength, taken } = this
    if (taken === chunkLength) return this.rest()
    const newline = findNewline(chunk, taken, chunkLength)
    if (newline < 0) {
      this.append(taken, chunkLength)
      return this.rest()
    }
    if (this.partialLength === 0) {
      this.taken = newline + 1
      return this.handOut(chunk, taken, newline)
    }
    if (!this.append(taken, newline + 1)) return this.rest()
    const end = this.partialLength - 1
    this.partialLength = 0
    return this.handOut(this.takePartial(), 0, end)
  }

  /** The input is over. True when it ended in a line without newline: that is the last frame. */
  end(): boolean {
    const end = this.partialLength
    if (this.tooLarge || end === 0) return this.rest()
    this.reserve(end + 1)
    this.partial[end] = NEWLINE
    this.partialLength = 0
    return this.handOut(this.takePartial(), 0, end)
  }

  /** Nothing more is fed, and what was not handed out is forgotten. */
  close(): void {
    this.replacePartial(NO_BYTES)
    this.partialLength = 0
    this.rest()
  }

  vacate(): boolean {
    if (this.partialLength > 0) return false
    this.replacePartial(NO_BYTES)
    return true
  }

  /** `at` is the newline. */
  private handOut(bytes: Buffer, from: number, at: number): boolean {
    let to = at
    while (to > from && bytes[to - 1] === RETURN) to--
    if (to - from > this.frameBytesMax || at - from > this.frameBytesMax + 1) return this.lose()
    this.bytes = bytes
    this.from = from
    this.to = to
    return true
  }

  /** Nothing to hand out for now, so nothing of the last frame is held. */
  private rest(): false {
    this.bytes = NO_BYTES
    this.chunk = NO_BYTES
    this.chunkLength = 0
    this.taken = 0
    return false
  }

  /** Moves `chunk[from..to)` behind `partial`; false when that makes the line too large. */
  private append(from: number, to: number): boolean {
    const length = this.partialLength + to - from
    const lineLength = this.chunk[to - 1] === NEWLINE ? length - 1 : length
    if (lineLength > this.frameBytesMax + 1) return this.lose()
    this.reserve(length)
    this.chunk.copy(this.partial, this.partialLength, from, to)
    this.partialLength = length
    this.taken = to
    return true
  }

  private reserve(length: number): void {
    if (length <= this.partial.length) return
    const wider = this.areaFor(length) ?? this.widerPartial(length)
    this.partial.copy(wider, 0, 0, this.partialLength)
    this.replacePartial(wider)
  }

  private areaFor(length: number): Buffer | null {
    return length < AREA_BYTES_MIN || length > lineBytesMax ? null : rentArea(this)
  }

  private widerPartial(length: number): Buffer {
    const doubled = Math.min(2 * this.partial.length, this.frameBytesMax + 2)
    return Buffer.allocUnsafeSlow(Math.max(doubled, length, PARTIAL_BYTES_MIN))
  }

  /** `partial` for handing out; a large one is not kept, an area until somebody else needs it. */
  private takePartial(): Buffer {
    const { partial } = this
    if (partial.length > PARTIAL_BYTES_KEPT && !isArea(partial)) this.partial = NO_BYTES
    return partial
  }

  private replacePartial(by: Buffer): void {
    const before = this.partial
    this.partial = by
    if (isArea(before)) leaveArea(before)
  }

  private lose(): false {
    this.tooLarge = true
    this.replacePartial(NO_BYTES)
    this.partialLength = 0
    return this.rest()
  }
}

/** The first newline in `bytes[from..to)`, or -1. */
function findNewline(bytes: Buffer, from: number, to: number): number {
  const near = Math.min(to, from + NEAR_BYTES)
  for (let i = from; i < near; i++) if (bytes[i] === NEWLINE) return i
  if (near === to) return -1
  const at = bytes.subarray(near, to).indexOf(NEWLINE)
  return at < 0 ? -1 : near + at
}
