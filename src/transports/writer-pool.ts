// Output buffers, lent to whoever has bytes to send and taken back when the kernel has them.
//
// A connection that has nothing to send holds none, so ten thousand idle ones cost nothing; and the
// buffer that was used last, still in the processor's cache, is lent first. A buffer keeps the
// size it has grown to, up to `KEPT_BYTES_MAX`: a busy puller's replies need no growing.

import { ByteWriter } from '../engine/byte-writer.ts'

const NEW_BYTES = 8 * 1024
const KEPT_BYTES_MAX = 1024 * 1024
/** Of all buffers that are kept. */
const POOL_BYTES_MAX = 16 * 1024 * 1024

const pool: ByteWriter[] = []
let pooledBytes = 0

export function borrowWriter(): ByteWriter {
  const writer = pool.pop()
  if (writer === undefined) return new ByteWriter(NEW_BYTES)
  pooledBytes -= writer.bytes.length
  return writer
}

/** Nobody reads its bytes any more. */
export function returnWriter(writer: ByteWriter): void {
  const size = writer.bytes.length
  if (size > KEPT_BYTES_MAX || pooledBytes + size > POOL_BYTES_MAX) return
  writer.length = 0
  pooledBytes += size
  pool.push(writer)
}
