// POST of the same request again and again on keep-alive connections, each waiting for its answer. Requests are built
// before the clock starts; of an answer only the status and the length are looked at.

import { connect, type Socket } from 'node:net'
import { payload } from './frames.ts'
import type { Address, HttpPushSpec, LoadResult } from './spec.ts'
import { Window } from './window.ts'

const headEnd = Buffer.from('\r\n\r\n')
const lengthName = Buffer.from('content-length: ')
/** Behind `HTTP/1.1 `. */
const statusAt = 9
const digitTwo = 0x32
const zero = 0x30
const bufferBytes = 64 * 1024

export async function httpPush(spec: HttpPushSpec): Promise<LoadResult> {
  const request = requestOf(spec)
  const jobsPerRequest = Math.max(1, spec.batch)
  const window = new Window(spec.warmupMs, spec.measureMs)
  let unanswered = 0
  let jobs = 0
  const connections: HttpConnection[] = []
  await new Promise<void>((resolve, reject) => {
    for (let i = 0; i < spec.connections; i++) {
      const send = (): void => {
        unanswered += 1
        jobs += jobsPerRequest
        connection.write(request)
      }
      const connection = new HttpConnection(spec.at, send, reject, () => {
        unanswered -= 1
        if (window.add(jobsPerRequest)) send()
        else if (unanswered === 0) resolve()
      })
      connections.push(connection)
    }
  }).finally(() => {
    for (const connection of connections) connection.close()
  })
  return { jobs, perSecond: window.perSecond() }
}

function requestOf({ at, queue, batch, dataBytes }: HttpPushSpec): Buffer {
  const jobs = Array.from({ length: batch }, (_, i) => `{"data":${payload(dataBytes, i)}}`)
  const body = batch === 0 ? `{"data":${payload(dataBytes)}}` : `{"jobs":[${jobs.join(',')}]}`
  const path = `/queues/${queue}/jobs${batch === 0 ? '' : '/batch'}`
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: ${at.host}:${at.port}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
}

/** One request at a time. Bytes are read into one buffer, and only counted once the head of an answer is known. */
class HttpConnection {
  private readonly socket: Socket
  private readonly onAnswer: () => void
  private readonly onLost: (cause: Error) => void
  private readonly buf = Buffer.allocUnsafe(bufferBytes)
  /** Of a head that is not whole. */
  private filled = 0
  /** Of a body. */
  private missing = 0
  private isClosed = false

  constructor(
    at: Address,
    onOpen: () => void,
    onLost: (cause: Error) => void,
    onAnswer: () => void,
  ) {
    this.onAnswer = onAnswer
    this.onLost = onLost
    const onread = {
      buffer: () => this.buf.subarray(this.filled),
      callback: (bytes: number) => {
        this.received(bytes)
        return true
      },
    }
    this.socket = connect({ host: at.host, port: at.port, noDelay: true, onread })
    this.socket.on('connect', onOpen)
    this.socket.on('error', (cause) => this.lost(cause))
    this.socket.on('close', () => this.lost(new Error('the server closed a connection')))
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  close(): void {
    this.isClosed = true
    this.socket.destroy()
  }

  private lost(cause: Error): void {
    if (!this.isClosed) this.onLost(cause)
  }

  private received(bytes: number): void {
    if (this.missing === 0) {
      this.filled += bytes
      const head = this.buf.subarray(0, this.filled)
      const end = head.indexOf(headEnd)
      if (end < 0) return
      if (head[statusAt] !== digitTwo) return this.lost(new Error(head.toString()))
      this.missing = end + headEnd.length + lengthIn(head, end) - this.filled
      this.filled = 0
    } else this.missing -= bytes
    if (this.missing === 0) this.onAnswer()
  }
}

function lengthIn(bytes: Buffer, headTo: number): number {
  const from = bytes.indexOf(lengthName)
  if (from < 0 || from > headTo) throw new Error('an answer has no content-length')
  let length = 0
  for (let at = from + lengthName.length; bytes[at] !== headEnd[0]; at++) {
    length = length * 10 + (bytes[at] as number) - zero
  }
  return length
}
