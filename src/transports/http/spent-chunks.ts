// The memory of what a body came in, given back at once.
//
// Node hands a body over in buffers of its own, each with memory outside of the heap. A hundred megabytes a second of them
// make the collector mark the whole heap ten times a second, for a third of a batch's time. What is transferred to a port
// that is closed is freed on the spot instead, which takes some microseconds.
//
// Next: json-bodies.ts, which has copied what was in it

import { MessageChannel } from 'node:worker_threads'

/** A smaller one costs the collector less than the transfer. */
const WORTH_BYTES = 8 * 1024

const { port1: closedPort } = new MessageChannel()
closedPort.close()

/** Nobody looks at it any more: it has no bytes from now on. One that shares its memory with others stays as it is. */
export function discard(chunk: Buffer): void {
  const { buffer } = chunk
  if (chunk.length < WORTH_BYTES || chunk.length !== buffer.byteLength) return
  if (buffer instanceof ArrayBuffer) closedPort.postMessage(null, [buffer])
}
