// A client connection that costs as little as possible: it finds newlines and hands out extents, and parses nothing.
//
// 1. Bytes are read straight into one buffer of the connection, so a line is always contiguous and no chunk is allocated.
// 2. An extent given to `onLine` is valid only until it returns.
// 3. The buffer doubles when one line does not fit; it never shrinks.

import { connect, type Socket } from 'node:net'
import type { Address } from './spec.ts'

const newline = 0x0a
const firstBytes = 64 * 1024

/** `buf[from..to)` is the line without its newline. */
export type OnLine = (buf: Buffer, from: number, to: number, connection: LineConnection) => void

export class LineConnection {
  readonly socket: Socket
  onLine: OnLine = () => {}
  /** Called once when the connection ends before `close()`. */
  onLost: (cause: Error) => void = () => {}
  private buf = Buffer.allocUnsafe(firstBytes)
  private filled = 0
  private scanned = 0
  private closed = false

  constructor(at: Address, onOpen: () => void) {
    this.socket = connect({
      host: at.host,
      port: at.port,
      noDelay: true,
      onread: {
        buffer: () => this.buf.subarray(this.filled),
        callback: (bytes) => {
          this.received(bytes)
          return true
        },
      },
    })
    this.socket.on('connect', onOpen)
    this.socket.on('error', (cause) => this.lost(cause))
    this.socket.on('close', () =>
      this.lost(new Error(`${at.host}:${at.port} closed the connection`)),
    )
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  close(): void {
    this.closed = true
    this.socket.destroy()
  }

  private lost(cause: Error): void {
    if (this.closed) return
    this.closed = true
    this.onLost(cause)
  }

  private received(bytes: number): void {
    this.filled += bytes
    let from = 0
    while (!this.closed && this.scanned < this.filled) {
      const to = this.buf.subarray(0, this.filled).indexOf(newline, this.scanned)
      if (to === -1) break
      this.onLine(this.buf, from, to, this)
      from = to + 1
      this.scanned = from
    }
    if (from > 0) {
      this.buf.copyWithin(0, from, this.filled)
      this.filled -= from
    }
    this.scanned = this.filled
    if (this.filled === this.buf.length) this.grow()
  }

  private grow(): void {
    const larger = Buffer.allocUnsafe(this.buf.length * 2)
    this.buf.copy(larger, 0, 0, this.filled)
    this.buf = larger
  }
}

export function openLine(at: Address): Promise<LineConnection> {
  return new Promise((resolve, reject) => {
    const connection = new LineConnection(at, () => resolve(connection))
    connection.onLost = reject
  })
}

export async function openLines(at: Address, count: number): Promise<LineConnection[]> {
  return Promise.all(Array.from({ length: count }, () => openLine(at)))
}

/** One command and its reply as text. Only for set-up: it takes over `onLine`. */
export function ask(connection: LineConnection, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    connection.onLost = reject
    connection.onLine = (buf, from, to) => resolve(buf.toString('utf8', from, to))
    connection.write(Buffer.from(`${command}\n`))
  })
}
