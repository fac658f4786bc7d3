// All connections of a worker, clients' and other workers', read into one buffer, so that reading allocates nothing.
//
// Node gives every read of an accepted socket 64 KiB of its own. At some thousand reads a second that is what the
// garbage collector mostly works for, and its pauses are the longest ones of the event loop. Node reads into a
// buffer of ours when a socket is made with `onread`, which it offers for connecting sockets only; so the
// handle of an accepted socket is put into a new one here. This, `socket-writer.ts` and
// `cluster/silence.ts` are the places that reach for a handle.
//
// 1. A chunk is valid until its handler returns: the next read of any connection overwrites it.
// 2. It lies in the memory of the scanning kernel, which so scans in place what came.
// 3. `pause` of such a socket stops reading at once, and not only when Node's own buffer is full.

import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { readArea } from '../wire/scan-kernel.ts'

interface WithHandle {
  _handle: object | null
}

/** A chunk is `bytes[0..length)`. */
export type OnChunk = (bytes: Buffer, length: number) => void

/** The same connection as a socket whose bytes come to `onChunk`; the one that was passed is over. */
export function readInto(socket: Socket, onChunk: OnChunk): Socket {
  const accepted = socket as unknown as WithHandle
  const handle = accepted._handle
  // What comes encrypted is decrypted by Node, into buffers of its own.
  if (handle === null || socket instanceof TLSSocket) {
    socket.on('data', (chunk: Buffer) => onChunk(chunk, chunk.length))
    return socket
  }
  accepted._handle = null
  socket.destroy()
  const onread = {
    buffer: readArea,
    callback(size: number): boolean {
      onChunk(readArea, size)
      return true
    },
  }
  const options = { handle, onread, allowHalfOpen: true, readable: true, writable: true }
  return new Socket(options as ConstructorParameters<typeof Socket>[0])
}
