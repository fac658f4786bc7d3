// Long lines are put together in the memory of the kernel, as far as there is room.

import { afterEach, describe, expect, it } from 'vitest'
import { Framer } from '../../../../src/transports/wire/framer.ts'
import { isArea } from '../../../../src/transports/wire/line-areas.ts'
import { lineBytesMax, linesMax, readArea } from '../../../../src/transports/wire/scan-kernel.ts'

const FRAME_MAX = 4 * lineBytesMax
let open: Framer[] = []

afterEach(() => {
  for (const framer of open) framer.close()
  open = []
})

describe('a long line', () => {
  it('is put together in the memory of the kernel, however large its pieces', () => {
    for (const pieceBytes of [1000, 7000, 100_000, 300_000]) {
      const framer = begun()
      const line = lineOf(lineBytesMax - 1)
      expect(lastFrame(framer, line, pieceBytes).equals(line.subarray(0, -1))).toBe(true)
      expect(framer.bytes.buffer).toBe(readArea.buffer)
      expect(framer.bytes[framer.to]).toBe(10)
    }
  })

  it('that outgrows its place is put together elsewhere, and the place is free', () => {
    const framers = Array.from({ length: linesMax + 1 }, begun)
    for (const framer of framers) {
      const line = lineOf(lineBytesMax + 10)
      expect(lastFrame(framer, line, 100_000).equals(line.subarray(0, -1))).toBe(true)
      expect(isArea(framer.bytes)).toBe(false)
    }
    expect(isInKernel(begun())).toBe(true)
  })

  it('is put together elsewhere when all places hold unfinished lines', () => {
    for (let n = 0; n < linesMax; n++) expect(isInKernel(begun())).toBe(true)
    const late = begun()
    expect(isInKernel(late)).toBe(false)
    const line = lineOf(50_000)
    expect(lastFrame(begun(), line, 20_000).equals(line.subarray(0, -1))).toBe(true)
  })

  it('keeps its place while it is unfinished, and lets it go when that is needed', () => {
    const first = begun()
    const started = lineOf(30_000).subarray(0, -1)
    first.feed(started)
    first.next()
    // Lines that are complete keep their places only until somebody else comes.
    for (let n = 0; n < 5 * linesMax; n++) {
      const framer = begun()
      lastFrame(framer, lineOf(40_000), 30_000)
      expect(isArea(framer.bytes)).toBe(true)
    }
    first.feed(Buffer.from('end\n'))
    expect(first.next()).toBe(true)
    const frame = first.bytes.subarray(first.from, first.to)
    expect(frame.equals(Buffer.concat([started, Buffer.from('end')]))).toBe(true)
  })

  it('gives its place back when its connection ends, and when it becomes too long', () => {
    for (let n = 0; n < linesMax; n++) expect(isInKernel(begun())).toBe(true)
    open.at(0)?.close()
    expect(isInKernel(begun())).toBe(true)
    const lost = open.at(1) as Framer
    lost.frameBytesMax = 25_000
    lost.feed(lineOf(20_000))
    expect(lost.next()).toBe(false)
    expect(lost.tooLarge).toBe(true)
    expect(isInKernel(begun())).toBe(true)
  })

  function begun(): Framer {
    const framer = new Framer(FRAME_MAX)
    open.push(framer)
    return framer
  }

  /** Whether a line that it begins now is in the memory of the kernel. */
  function isInKernel(framer: Framer): boolean {
    framer.feed(lineOf(20_000).subarray(0, -1))
    framer.next()
    return isArea((framer as unknown as { partial: Buffer }).partial)
  }
})

function lineOf(size: number): Buffer {
  const line = Buffer.alloc(size, 'abcdefghijklmnopqrstuvw')
  line[size - 1] = 10
  return line
}

/** The one frame of `line`, which comes in pieces, and is not yet taken from the framer. */
function lastFrame(framer: Framer, line: Buffer, pieceBytes: number): Buffer {
  for (let at = 0; at < line.length; at += pieceBytes) {
    framer.feed(line.subarray(at, at + pieceBytes))
    if (framer.next()) return Buffer.from(framer.bytes.subarray(framer.from, framer.to))
  }
  throw new Error('no frame')
}
