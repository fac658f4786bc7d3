// Scans the same bytes in JavaScript and in the kernel, in several places of its memory, and compares all that comes out.

import { expect } from 'vitest'
import { Command } from '../../src/engine/command.ts'
import { INT_STRIDE } from '../../src/engine/job-table.ts'
import { limits } from '../../src/engine/limits.ts'
import { Op } from '../../src/engine/op.ts'
import type { Refusal } from '../../src/engine/refusal.ts'
import { clearHighBytes, sawHighBytes, skipValue } from '../../src/transports/wire/json-scanner.ts'
import { scanFrame } from '../../src/transports/wire/scan.ts'
import {
  lineArea,
  lineBytesMax,
  linesMax,
  readArea,
  sawHigh,
  skipInKernel,
  useKernel,
} from '../../src/transports/wire/scan-kernel.ts'
import { shown } from './command-frames.ts'

/** What lies behind a frame must not be looked at: this would go on with any string, number or list. */
const after = Buffer.from('\n9e"\\,:}]"}],{"data":1},9,')
const before = Buffer.from('{"data":"\\')
const other = new Command()
let turn = 0

/** As `scanFrame` of the frame alone, in JavaScript; the kernel must say the same. */
export function scanEveryWay(frame: Buffer, into: Command): Refusal | null {
  const line = Buffer.concat([frame, Buffer.from('\n')])
  useKernel(false)
  const refusal = scanFrame(line, 0, frame.length, into)
  useKernel(true)
  const last = lineArea(linesMax - 1)
  // Borders of 16 bytes are met anywhere, and of pages.
  const from = 16 + (turn++ % 19)
  for (const [area, at] of [
    [readArea, from],
    [readArea, readArea.length - frame.length - 1],
    [last, lineBytesMax - frame.length - 1],
  ] as const) {
    place(frame, area, at)
    expect(scanFrame(area, at, at + frame.length, other)).toEqual(refusal)
    expect(reqIdOf(other, at)).toEqual(reqIdOf(into, 0))
    if (refusal === null) {
      expect(rowsOf(other, at)).toEqual(rowsOf(into, 0))
      expect(shown(other)).toEqual(shown(into))
    }
  }
  return refusal
}

/** The end of the one value that starts `bytes`, or -1; from JavaScript, and the kernel must say the same. */
export function skipEveryWay(bytes: Buffer, depthMax: number = limits.jsonDepthMax): number {
  const line = Buffer.concat([bytes, Buffer.from('\n')])
  clearHighBytes()
  const end = skipValue(line, 0, bytes.length, depthMax)
  const at = 16 + (turn++ % 19)
  place(bytes, readArea, at)
  const seen = skipInKernel(readArea.byteOffset, at, at + bytes.length, depthMax)
  if (seen < 0 ? end >= 0 : seen - at !== end) {
    expect(`${bytes}: ${seen < 0 ? seen : seen - at}`).toBe(`${bytes}: ${end}`)
  }
  if (end >= 0 && sawHighBytes() && !sawHigh()) expect(`${bytes}`).toBe('seen as ASCII')
  return end
}

function place(bytes: Buffer, area: Buffer, at: number): void {
  before.copy(area, at - before.length)
  bytes.copy(area, at)
  after.copy(area, at + bytes.length)
}

/** Where things are in the frame that starts at `from`. */
function rowsOf({ jobs, op }: Command, from: number): number[][] {
  const count = op === Op.PUSHB ? jobs.count : 0
  return Array.from({ length: count }, (_, row) => {
    const [dataFrom = 0, dataTo = 0, flags = 0] = jobs.ints.subarray(row * INT_STRIDE)
    return [dataFrom - from, dataTo - from, flags]
  })
}

function reqIdOf({ op, reqIdFrom, reqIdTo }: Command, from: number): number[] {
  return reqIdFrom < 0 ? [op] : [op, reqIdFrom - from, reqIdTo - from]
}
