// The last step of a reply: bytes into the kernel.
//
//   write ──handle──▶ kernel took all: true, and nothing else happens
//                     it took less:    false, and `written` is called when it has the rest
//
// Node's stream makes a request, a tick and a callback of every write, also of one that the kernel takes at once, as it
// nearly always does: for a command by itself that costs more than running it. So the handle is written to. Node has no
// public way to it; where anything is not as expected (a later Node, no handle, the permission model), the
// stream writes.
//
// 1. All writes of a socket take the same way, so they keep their order.
// 2. The bytes must stay as they are until `write` has said true or `written` was called without an error.
// 3. An error closes the socket. `written` may then be called with an error, or not at all.

import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** Node versions of which the tests have shown that their handles are written to like this. */
const MAJOR_MIN = 20
const MAJOR_MAX = 26

interface Handle {
  writeBuffer(request: WriteRequest, bytes: Buffer): number
}

interface WriteRequest {
  oncomplete: ((status: number) => void) | null
  /** Keeps them from being collected. */
  handle: Handle | null
  buffer: Buffer | null
}

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest
  readonly streamBaseState: Int32Array
  readonly kLastWriteWasAsync: number
}

const binding = loadBinding()
/** One that no write has used up: only one that was not done at once does. */
let spare: WriteRequest | null = null

export class SocketWriter {
  private readonly socket: Socket
  private readonly written: (error?: Error | null) => void
  private readonly isDirect: boolean

  constructor(socket: Socket, written: (error?: Error | null) => void) {
    this.socket = socket
    this.written = written
    this.isDirect =
      binding !== null &&
      !(socket instanceof TLSSocket) &&
      typeof handleOf(socket)?.writeBuffer === 'function'
  }

  write(bytes: Buffer): boolean {
    const handle = this.isDirect ? handleOf(this.socket) : null
    if (handle === null) {
      this.socket.write(bytes, (error) => this.streamed(error))
      return false
    }
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = binding as StreamBinding
    const request = spare ?? new WriteWrap()
    spare = request
    const status = handle.writeBuffer(request, bytes)
    if (status !== 0) {
      this.socket.destroy(failure(status))
      return false
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) return true
    spare = null
    request.handle = handle
    request.buffer = bytes
    request.oncomplete = (late) => this.completed(late)
    return false
  }

  /** Node 20 says of a write that was cut off by the end of its socket that it went well. */
  private streamed(error?: Error | null): void {
    this.written(error ?? (this.socket.destroyed ? new Error('the socket is closed') : null))
  }

  private completed(status: number): void {
    if (status === 0) return this.written()
    const error = failure(status)
    this.written(error)
    this.socket.destroy(error)
  }
}

function handleOf(socket: Socket): Handle | null {
  return (socket as unknown as { _handle?: Handle | null })._handle ?? null
}

function failure(status: number): Error {
  return new Error(`write failed with status ${status}`)
}

function loadBinding(): StreamBinding | null {
  const major = Number.parseInt(process.versions.node, 10)
  if (major < MAJOR_MIN || major > MAJOR_MAX) return null
  try {
    const { binding: load } = process as unknown as { binding?(name: string): StreamBinding }
    const loaded = load?.call(process, 'stream_wrap')
    const isKnown =
      typeof loaded?.WriteWrap === 'function' &&
      loaded.streamBaseState instanceof Int32Array &&
      typeof loaded.kLastWriteWasAsync === 'number'
    return isKnown ? loaded : null
  } catch {
    return null
  }
}
