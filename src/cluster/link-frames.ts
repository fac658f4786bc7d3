// The bytes between two workers: frames over a Unix socket, read in place where they arrive whole.
//
//   frame     [u32 length of what follows][u8 kind][body]                    little endian
//   hello     [u16 worker][u32 incarnation]                                  origin → owner, once, first
//   request   [u8 shard][u32 no][f64 holder][a client's line][\n]            origin → owner
//   reply     [u8 flags][u32 no][u32 bytes][reply line]{[u16 shard][f64 first token][f64 seq …]}
//   notOwner  [u32 no][the request's line]                                   it did not run here
//   giveBack  [u16 shard][f64 first token][f64 seq …]                        origin → owner
//   sessionClosed [f64 holder]   sessionEnded [f64 holder]                   and its answer, after all replies
//   gather    [u8 op][u32 no][query]   gathered [u32 no][part]            STATS and the like
//   survey    [u32 no][topic]   surveyed [u32 no][JSON]                   figures (surveys.ts)
//   mail      [JSON]                                                         between shards
//   subscribe [u32 no][u32 events][queue]   unsubscribe [u32 no]   subscribed [u32 no]   event [u32 no][event line]
//   fence []  fenced []                                                      the replies before it are written
//   forgetPulls [f64 holder]     answered by sessionEnded                    the session leaves its worker
//   renameHolder [f64 from][f64 to]   renamed [f64 to]                       and goes on at another one
//   moving [f64 holder][state]   moveAnswer [f64 holder][u8 ready]   moveOff [f64 holder]   arrived [f64 holder]
//   takeOver [u32 no][u32 events][u16 worker][u32 its no][queue]   takenOver [u32 its no]   a subscription goes over
//   hear [u8 kinds][queue]   positioned [f64 began][f64 floor][f64 head][u8 complete]   numbered events (feed-frames.ts)
//   told [f64 seq][u8 kind][u16 queue bytes][queue][note]   skipped [f64 seq][f64 count]   broken [f64 seq]   feedOver []
//
// 1. Both ends are processes of one node and one version, so a malformed frame is a bug: the reader throws.
// 2. After a request's line there is a newline: the scanner needs a byte that it may read past the end.
// 3. Frames keep their order on one link.

import type { ByteWriter } from '../engine/byte-writer.ts'
import type { ShardId } from '../engine/job-id.ts'
import type { Unwritten } from '../engine/ports.ts'

export const FrameKind = {
  hello: 1,
  request: 2,
  reply: 3,
  notOwner: 4,
  giveBack: 5,
  sessionClosed: 6,
  sessionEnded: 7,
  gather: 8,
  gathered: 9,
  mail: 10,
  subscribe: 11,
  unsubscribe: 12,
  event: 13,
  subscribed: 14,
  fence: 15,
  fenced: 16,
  forgetPulls: 17,
  renameHolder: 18,
  renamed: 19,
  moving: 20,
  moveAnswer: 21,
  moveOff: 22,
  arrived: 23,
  takeOver: 24,
  takenOver: 25,
  hear: 26,
  positioned: 27,
  told: 28,
  skipped: 29,
  broken: 30,
  feedOver: 31,
  survey: 32,
  surveyed: 33,
} as const
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind]

export const ReplyFlag = { handed: 1, unordered: 2 } as const

/** In place of a shard: the request's ids may be of several, and the owner must look at each. */
export const ANY_SHARD = 255

const LENGTH_BYTES = 4
/** From a frame's start to a request's line. */
const REQUEST_HEAD_BYTES = LENGTH_BYTES + 1 + 1 + 4 + 8
/** From a frame's start to a reply's line. */
const REPLY_HEAD_BYTES = LENGTH_BYTES + 1 + 1 + 4 + 4
/** Above any frame that a worker makes: a longer one means that the stream is out of step. */
const FRAME_BYTES_MAX = 2 ** 30

/** Begins a frame; returns where it starts, for `endFrame`. */
export function beginFrame(out: ByteWriter, kind: FrameKind): number {
  const start = out.length
  out.reserve(LENGTH_BYTES + 1)
  out.bytes[start + LENGTH_BYTES] = kind
  out.length = start + LENGTH_BYTES + 1
  return start
}

export function endFrame(out: ByteWriter, start: number): void {
  setU32(out.bytes, start, out.length - start - LENGTH_BYTES)
}

export function putU16(out: ByteWriter, value: number): void {
  out.reserve(2)
  out.bytes[out.length++] = value
  out.bytes[out.length++] = value >>> 8
}

export function putU32(out: ByteWriter, value: number): void {
  out.reserve(4)
  setU32(out.bytes, out.length, value)
  out.length += 4
}

export function putF64(out: ByteWriter, value: number): void {
  out.reserve(8)
  out.bytes.writeDoubleLE(value, out.length)
  out.length += 8
}

/** A whole request; returns where its line begins in `out`. */
export function putRequest(
  out: ByteWriter,
  shard: number,
  no: number,
  holder: number,
  line: Buffer,
  from: number,
  to: number,
): number {
  const start = beginFrame(out, FrameKind.request)
  out.reserve(REQUEST_HEAD_BYTES + (to - from) + 1)
  out.byte(shard)
  putU32(out, no)
  putF64(out, holder)
  const lineAt = out.length
  out.copy(line, from, to)
  out.byte(0x0a)
  endFrame(out, start)
  return lineAt
}

/** Opens a reply: its line is written next, then `endReply` closes it. */
export function beginReply(out: ByteWriter, no: number): number {
  const start = beginFrame(out, FrameKind.reply)
  out.reserve(REPLY_HEAD_BYTES)
  out.byte(0)
  putU32(out, no)
  putU32(out, 0)
  return start
}

export function endReply(
  out: ByteWriter,
  start: number,
  unordered: boolean,
  handed: Unwritten | null,
): void {
  const lineBytes = out.length - start - REPLY_HEAD_BYTES
  const flags = (unordered ? ReplyFlag.unordered : 0) | (handed === null ? 0 : ReplyFlag.handed)
  out.bytes[start + LENGTH_BYTES + 1] = flags
  setU32(out.bytes, start + REPLY_HEAD_BYTES - 4, lineBytes)
  if (handed !== null) putHanded(out, handed)
  endFrame(out, start)
}

export function putHanded(out: ByteWriter, handed: Unwritten): void {
  putU16(out, handed.shard)
  putF64(out, handed.firstToken)
  const { seqs } = handed
  out.copy(Buffer.from(seqs.buffer, seqs.byteOffset, seqs.byteLength), 0, seqs.byteLength)
}

export function readHanded(bytes: Buffer, from: number, to: number): Unwritten {
  const seqs = new Float64Array((to - from - 10) / 8)
  bytes.copy(Buffer.from(seqs.buffer), 0, from + 10, to)
  return {
    shard: bytes.readUInt16LE(from) as ShardId,
    firstToken: bytes.readDoubleLE(from + 2),
    seqs,
  }
}

/** `bytes[from..to)` is the body; valid only during the call. */
export interface FrameHandler {
  frame(kind: number, bytes: Buffer, from: number, to: number): void
}

/** Cuts a stream of chunks into frames. */
export class FrameReader {
  private readonly handler: FrameHandler
  /** A frame that has not arrived whole: `partial[0..have)`. */
  private partial = Buffer.alloc(0)
  private have = 0

  constructor(handler: FrameHandler) {
    this.handler = handler
  }

  push(chunk: Buffer): void {
    let at = this.have > 0 ? this.complete(chunk) : 0
    const { length } = chunk
    while (at + LENGTH_BYTES <= length) {
      const end = at + LENGTH_BYTES + frameLength(chunk, at)
      if (end > length) break
      this.handler.frame(chunk[at + LENGTH_BYTES] as number, chunk, at + LENGTH_BYTES + 1, end)
      at = end
    }
    if (at < length) this.keep(chunk, at, length)
  }

  /** Adds to the partial frame what it lacks; returns how much of the chunk that took. */
  private complete(chunk: Buffer): number {
    let at = 0
    if (this.have < LENGTH_BYTES) {
      at = Math.min(LENGTH_BYTES - this.have, chunk.length)
      this.keep(chunk, 0, at)
      if (this.have < LENGTH_BYTES) return at
    }
    const total = LENGTH_BYTES + frameLength(this.partial, 0)
    const upTo = Math.min(at + total - this.have, chunk.length)
    this.makeRoom(total)
    this.keep(chunk, at, upTo)
    if (this.have < total) return upTo
    const { partial } = this
    this.have = 0
    this.handler.frame(partial[LENGTH_BYTES] as number, partial, LENGTH_BYTES + 1, total)
    if (partial.length > PARTIAL_BYTES_KEPT) this.partial = Buffer.alloc(0)
    return upTo
  }

  private keep(chunk: Buffer, from: number, to: number): void {
    this.makeRoom(this.have + to - from)
    chunk.copy(this.partial, this.have, from, to)
    this.have += to - from
  }

  private makeRoom(bytes: number): void {
    if (bytes <= this.partial.length) return
    const wider = Buffer.allocUnsafeSlow(Math.max(bytes, PARTIAL_BYTES_MIN))
    this.partial.copy(wider, 0, 0, this.have)
    this.partial = wider
  }
}

const PARTIAL_BYTES_MIN = 64 * 1024
/** A longer buffer is given up after use. */
const PARTIAL_BYTES_KEPT = 1024 * 1024

function frameLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32LE(at)
  if (length < 1 || length > FRAME_BYTES_MAX) throw new Error(`link frame of ${length} bytes`)
  return length
}

function setU32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}
