// gRPC without a client: HTTP/2 of Node, bytes as they are.

import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import { onTestFinished } from 'vitest'
import { CODE_METADATA } from '../../src/transports/grpc/status.ts'

interface RawAnswer {
  /** NaN: the call ended without one. */
  readonly status: number
  readonly code: string
  readonly messages: readonly Buffer[]
}

export class RawCall {
  private readonly session: ClientHttp2Session

  /** A connection of its own, closed when the test has finished. */
  constructor(port: number) {
    this.session = connect(`http://127.0.0.1:${port}`)
    this.session.on('error', () => undefined)
    onTestFinished(() => this.close())
  }

  close(): void {
    this.session.destroy()
  }

  begin(path: string, headers: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
    const stream = this.session.request({ ...callHeaders(path), ...headers })
    stream.on('error', () => undefined)
    return stream
  }

  send(
    path: string,
    messages: readonly Buffer[],
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RawAnswer> {
    const stream = this.begin(path, headers)
    const chunks: Buffer[] = []
    let status = Number.NaN
    let code = ''
    const note = (fields: Record<string, unknown>): void => {
      if (fields['grpc-status'] !== undefined) status = Number(fields['grpc-status'])
      code = String(fields[CODE_METADATA] ?? code)
    }
    stream.on('response', note)
    stream.on('trailers', note)
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    for (const message of messages) stream.write(message)
    stream.end()
    return new Promise((resolve) => {
      stream.on('close', () => {
        this.close()
        resolve({ status, code, messages: messagesIn(Buffer.concat(chunks)) })
      })
    })
  }
}

export function callHeaders(path: string): Record<string, string> {
  return { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
}

/** With the five bytes in front of it. */
export function callMessage(bytes: Buffer, compressed: 0 | 1 = 0): Buffer {
  const head = Buffer.alloc(5)
  head[0] = compressed
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

function messagesIn(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = []
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1)
    messages.push(bytes.subarray(at + 5, end))
    at = end
  }
  return messages
}
