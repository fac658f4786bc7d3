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

/** One request at a time. */
class HttpConnection {
  private readonly socket: Socket
  private readonly onAnswer: () => void
  private readonly onLost: (cause: Error) => void
  private rest: Buffer = Buffer.alloc(0)
  private isClosed = false

  constructor(
    at: Address,
    onOpen: () => void,
    onLost: (cause: Error) => void,
    onAnswer: () => void,
  ) {
    this.onAnswer = onAnswer
    this.onLost = onLost
    this.socket = connect({ host: at.host, port: at.port, noDelay: true }, onOpen)
    this.socket.on('data', (chunk) => this.received(chunk))
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

  private received(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    const end = bytes.indexOf(headEnd)
    if (end < 0 || bytes.length < end + headEnd.length + lengthIn(bytes, end)) {
      this.rest = bytes
      return
    }
    if (bytes[statusAt] !== digitTwo) return this.lost(new Error(bytes.toString()))
    this.rest = Buffer.alloc(0)
    this.onAnswer()
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
