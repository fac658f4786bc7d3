// The frames in which a worker tells another one its numbered events (`link-frames.ts` has the list).

import type { ByteWriter } from '../engine/byte-writer.ts'
import type { EventKind, FeedListener, FeedPosition, FeedStream } from '../engine/ports.ts'
import { beginFrame, endFrame, FrameKind, putF64, putU16 } from './link-frames.ts'

export function putPositioned(out: ByteWriter, position: FeedPosition): void {
  const start = beginFrame(out, FrameKind.positioned)
  putF64(out, position.stream.beganMs)
  putF64(out, position.floor)
  putF64(out, position.head)
  out.byte(position.isComplete ? 1 : 0)
  endFrame(out, start)
}

export function putTold(
  out: ByteWriter,
  seq: number,
  kind: EventKind,
  queue: string,
  note: Buffer,
): void {
  const start = beginFrame(out, FrameKind.told)
  putF64(out, seq)
  out.byte(kind)
  putU16(out, Buffer.byteLength(queue))
  out.utf8(queue)
  out.copy(note, 0, note.length)
  endFrame(out, start)
}

export function putSkipped(out: ByteWriter, seq: number, count: number): void {
  const start = beginFrame(out, FrameKind.skipped)
  putF64(out, seq)
  putF64(out, count)
  endFrame(out, start)
}

export function putBroken(out: ByteWriter, seq: number): void {
  const start = beginFrame(out, FrameKind.broken)
  putF64(out, seq)
  endFrame(out, start)
}

export function putFeedOver(out: ByteWriter): void {
  endFrame(out, beginFrame(out, FrameKind.feedOver))
}

export function readPositioned(worker: number, body: Buffer): FeedPosition {
  return {
    stream: { worker, beganMs: body.readDoubleLE(0) },
    floor: body.readDoubleLE(8),
    head: body.readDoubleLE(16),
    isComplete: body[24] === 1,
  }
}

/** Passes `told`, `skipped` or `broken` on. */
export function passEvent(
  kind: number,
  body: Buffer,
  stream: FeedStream,
  listener: FeedListener,
): void {
  const seq = body.readDoubleLE(0)
  if (kind === FrameKind.skipped) return listener.skipped(stream, seq, body.readDoubleLE(8))
  if (kind === FrameKind.broken) return listener.broken(stream, seq)
  const noteFrom = 11 + body.readUInt16LE(9)
  const queue = body.toString('utf8', 11, noteFrom)
  listener.told(stream, seq, body[8] as EventKind, queue, body.subarray(noteFrom))
}
