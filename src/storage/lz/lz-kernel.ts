// The kernel that packs and unpacks: a WebAssembly module with SIMD, and a memory of its own.
//
//   0        16 KiB    80      96         160     192 KiB
//   │ table  │ plain   │ never │ packed   │ never │          never: passed by loads and stores of 16 bytes, by so many
//
// It is made at the first use, one per thread: whoever stores nothing has none. Where WebAssembly is missing, has no SIMD
// (a CPU without SSE4.1) or gets no memory, there is none either.

import { kernelBase64 } from './kernel-bytes.ts'

const KIB = 1024

/** As in kernel/memory.as.ts. */
const PLAIN_BYTE = 16 * KIB
const PACKED_BYTE = 96 * KIB
const MEMORY_BYTES = 192 * KIB

/** The most that it packs at once: as far as a match of this format can reach, so that none reaches too far. */
export const PIECE_BYTES = 64 * KIB

interface LzKernel {
  readonly plain: Buffer
  readonly packed: Buffer
  /** Of the first `length` bytes of `plain`: the size of their block in `packed`; 0 when that were more than `most`. */
  pack(length: number, most: number): number
  /** 0, unless the first `size` bytes of `packed` are a block of `length` bytes: these are in `plain` then. */
  unpack(size: number, length: number): number
}

interface KernelExports extends Pick<LzKernel, 'pack' | 'unpack'> {
  readonly memory: { readonly buffer: ArrayBuffer }
}

/** Neither `lib.es2023` nor `@types/node` 20 declares it. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { readonly exports: unknown }
}

let kernel: LzKernel | null | undefined
let isUsed = true

export function lzKernel(): LzKernel | null {
  if (kernel === undefined) kernel = load()
  return isUsed ? kernel : null
}

/** For tests and benches: with `false`, it is as if there were none. */
export function useLzKernel(on: boolean): void {
  isUsed = on
}

function load(): LzKernel | null {
  let exports: KernelExports
  try {
    const module = new WebAssembly.Module(Buffer.from(kernelBase64, 'base64'))
    exports = new WebAssembly.Instance(module).exports as KernelExports
  } catch {
    return null
  }
  const { pack, unpack, memory } = exports
  const { buffer } = memory
  if (buffer.byteLength !== MEMORY_BYTES) throw new Error('the kernel has another size of memory')
  const plain = Buffer.from(buffer, PLAIN_BYTE, PIECE_BYTES)
  return { plain, packed: Buffer.from(buffer, PACKED_BYTE, PIECE_BYTES), pack, unpack }
}
