// The scanning kernel: a WebAssembly module with SIMD, and the memory that it shares with JavaScript.
//
//   0        128 KiB    160     256          512           1536                              5632     5696 KiB
//   │ state, │ options  │ ids   │ what the   │ copies of   │ unfinished lines                │ never  │
//   │ shapes,│ of jobs  │       │ sockets    │ what lies   │ (framer.ts), 8 × 512 KiB        │ scanned│
//   │ rows   │          │       │ read into  │ elsewhere   │                                 │        │
//
// 1. The memory has this size for ever, so a view of it stays valid; untouched pages cost nothing.
// 2. The kernel accepts nothing that json-scanner.ts does not accept, and leaves to it whatever is unusual or wrong.
// 3. It loads 16 bytes at a time, up to 64 KiB behind what it scans: nothing lies so near the end.
// 4. Where WebAssembly is missing, has no SIMD (a CPU without SSE4.1) or gets no memory, there is no kernel, and all is
//    scanned in JavaScript.
//
// Sources: kernel/*.as.ts. Why and what it brings: docs/adr/0005-simd-kernel.md.

import { INT_STRIDE } from '../../engine/job-table.ts'
import { limits } from '../../engine/limits.ts'
import { kernelBase64 } from './kernel-bytes.ts'

const KIB = 1024

/** As in kernel/memory.as.ts. */
const STATUS_BYTE = 1 * KIB
const LIMITS_BYTE = 1056
const ROWS_BYTE = 112 * KIB
const VALUES_BYTE = 128 * KIB
const IDS_BYTE = 160 * KIB
const READ_BYTE = 256 * KIB
const COPY_BYTE = 512 * KIB
const LINES_BYTE = 1536 * KIB
const MEMORY_BYTES = 5696 * KIB

export const lineBytesMax = 512 * KIB
export const linesMax = 8
const COPY_BYTES_MAX = LINES_BYTE - COPY_BYTE
/** What lies elsewhere is copied from so many bytes on; below, the copy costs what the kernel saves. */
const COPY_BYTES_MIN = 512

/** Where a call has stopped: as in kernel/jobs.as.ts. */
export const Stopped = { atElement: 0, behindData: 1, closed: 2 } as const

export const VALUES_STRIDE = 8
/** No place in the kernel's memory. */
export const NO_PLACE = 0x7fff_ffff

interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  /** Rows from `rowFrom` on, of the jobs that start at `from`; returns how many rows there are now. */
  scanJobs(
    from: number,
    to: number,
    base: number,
    depthMax: number,
    rowFrom: number,
    rowMax: number,
  ): number
  /** Returns how many ids there are. */
  scanIds(from: number, to: number, base: number, max: number): number
  /** What `skipValue` of json-scanner.ts returns, plus the place; 0 where that fails. */
  skipData(start: number, to: number, depthMax: number): number
  forgetShapes(): void
}

/** Neither `lib.es2023` nor `@types/node` 20 declares it. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { readonly exports: unknown }
}

const exported = load()
const memory = exported?.memory.buffer ?? new ArrayBuffer(MEMORY_BYTES)
const status = new Int32Array(memory, STATUS_BYTE, 4)
const copies = Buffer.from(memory, COPY_BYTE, COPY_BYTES_MAX)
let kernel = exported

/** Of each job that `scanJobs` has accepted, as `JobTable.ints` has them; priority is among the values. */
export const rowCells = new Int32Array(memory, ROWS_BYTE, INT_STRIDE * (limits.batchMax + 1))
/** Of each job with flags: the values of its options, valid where the flag is set. */
export const valueCells = new Int32Array(memory, VALUES_BYTE, VALUES_STRIDE * limits.batchMax)
export const idCells = new Float64Array(memory, IDS_BYTE, limits.batchMax)
/** The most that the kernel takes as the value of each option, in the order of their flags. */
export const valueLimits = new Int32Array(memory, LIMITS_BYTE, 6)

/** Where sockets should read into. */
export const readArea = Buffer.from(memory, READ_BYTE, COPY_BYTE - READ_BYTE)

/** The n-th of `linesMax` places where a line can be put together. */
export function lineArea(n: number): Buffer {
  return Buffer.from(memory, LINES_BYTE + n * lineBytesMax, lineBytesMax)
}

/** For tests and benches: with `false`, all is scanned in JavaScript. */
export function useKernel(on: boolean): void {
  kernel = on ? exported : null
}

/**
 * What to add to an index of `bytes` for its place in the kernel's memory; `bytes[from..to]` is copied there when it
 * lies elsewhere. NO_PLACE when it is too large, or too small to be worth it, or there is no kernel.
 */
export function placeOf(bytes: Buffer, from: number, to: number): number {
  if (kernel === null) return NO_PLACE
  if (bytes.buffer === memory) return bytes.byteOffset
  const length = to + 1 - from
  if (length < COPY_BYTES_MIN || length > COPY_BYTES_MAX) return NO_PLACE
  bytes.copy(copies, 0, from, to + 1)
  return COPY_BYTE - from
}

/** The same for what is not worth a copy. */
export function placeWithin(bytes: Buffer): number {
  return kernel !== null && bytes.buffer === memory ? bytes.byteOffset : NO_PLACE
}

/** Jobs from the one that starts at `from`. Returns the count of rows; `stoppedAt` and `stopped` say the rest. */
export function scanRows(place: number, from: number, to: number, row: number): number {
  const { jsonDepthMax, batchMax } = limits
  const exports = kernel as KernelExports
  return exports.scanJobs(place + from, place + to, place, jsonDepthMax, row, batchMax)
}

/** Ids from the one that starts at `from`. Returns their count; `stoppedAt` and `stopped` say the rest. */
export function scanIdCells(place: number, from: number, to: number): number {
  return (kernel as KernelExports).scanIds(place + from, place + to, place, limits.batchMax)
}

/** The end of the value that starts at `from`, or -1 for what json-scanner.ts should look at. */
export function skipInKernel(place: number, from: number, to: number, depthMax: number): number {
  const end = (kernel as KernelExports).skipData(place + from, place + to, depthMax)
  return end === 0 ? -1 : end - place
}

/** For tests: as if nothing had been scanned before. */
export function forgetShapes(): void {
  exported?.forgetShapes()
}

/** The index where the last call has stopped. */
export const stoppedAt = (): number => status[0] as number
export const stopped = (): number => status[1] as number
/** The OR of the flags of the rows that the last call has filled. */
export const sawFlags = (): number => status[3] as number
/** Bytes beyond ASCII may have been in strings that the last call has passed. */
export const sawHigh = (): boolean => status[2] !== 0

function load(): KernelExports | null {
  let exports: KernelExports
  try {
    const module = new WebAssembly.Module(Buffer.from(kernelBase64, 'base64'))
    exports = new WebAssembly.Instance(module).exports as KernelExports
  } catch {
    return null
  }
  const { byteLength } = exports.memory.buffer
  if (byteLength !== MEMORY_BYTES) throw new Error(`the kernel has ${byteLength} bytes of memory`)
  if (limits.jsonDepthMax > 64) throw new Error('the kernel keeps open containers in 64 bits')
  if (INT_STRIDE * 4 * (limits.batchMax + 1) > VALUES_BYTE - ROWS_BYTE) throw new Error('batchMax')
  return exports
}
