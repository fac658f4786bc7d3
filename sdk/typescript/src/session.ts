// One socket, from connecting to its end: frames out, replies in, matched by reqId.
//
//   connecting ──▶ authenticating ──▶ open ──▶ ended
//        └──────────(no token)─────────▶┘
//
// 1. Every frame carries a reqId that this session has not used before; replies may come in any order.
// 2. What was sent within a tick leaves in one write. Until then it is `outgoing`, and provably not executed.
// 3. A line that is no reply to anything ends the session: from there on no reply can be trusted.
// 4. The end is reported once, when the socket is closed, with what was not written and what was not answered.
//
// Neighbours: `connection.ts` owns it and decides what becomes of its requests.

import { createConnection, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { FlashQError } from './errors.ts'
import { valueText } from './json-text.ts'
import { LineReader } from './line-reader.ts'
import type { TlsOptions } from './options.ts'
import { parseReply, type Reply, refusalOf } from './reply.ts'
import type { Request } from './request.ts'
import { atTickEnd } from './tick.ts'

export interface SessionSettings {
  readonly host: string
  readonly port: number
  readonly socketPath: string
  readonly tls: TlsOptions | null
  readonly token: string
  readonly bigint: boolean
  readonly timeoutMs: number
}

export interface SessionEnd {
  /** Why, if it was not the client's own wish. */
  readonly fault: Error | null
  /** The server sent something that is no reply. */
  readonly garbled: boolean
  readonly unwritten: Request[]
  readonly unanswered: Request[]
}

export interface SessionOwner {
  sessionOpened(): void
  sessionReply(request: Request, reply: Reply): void
  sessionEvent(message: Reply): void
  sessionEnded(end: SessionEnd): void
}

/** A reply of this size is a broken peer: the server ends a PULLB after 8 MiB. */
const REPLY_BYTES_MAX = 256 * 1024 * 1024
/** Longer texts are handed to the socket piece by piece. */
const WRITE_CHARS = 1024 * 1024
/** TCP keep-alive finds a peer that vanished without a word while pulls wait. */
const KEEP_ALIVE_MS = 10_000
const AUTH_REQ_ID = 0

export class Session {
  /** When a request first timed out since the last byte arrived, by `performance.now()`; 0 when none has. */
  silentSinceMs = 0

  readonly #owner: SessionOwner
  readonly #token: string
  readonly #bigint: boolean
  readonly #socket: Socket
  readonly #reader = new LineReader(REPLY_BYTES_MAX)
  readonly #inFlight = new Map<number, Request>()
  #phase: 'connecting' | 'authenticating' | 'open' | 'ended' = 'connecting'
  #outgoing: Request[] = []
  #flushScheduled = false
  #nextReqId = AUTH_REQ_ID + 1
  #fault: Error | null = null
  #garbled = false
  #connectTimer: ReturnType<typeof setTimeout> | null

  constructor(settings: SessionSettings, owner: SessionOwner) {
    this.#owner = owner
    this.#token = settings.token
    this.#bigint = settings.bigint
    this.#socket = socketTo(settings)
    this.#connectTimer = setTimeout(
      () => this.destroy(new FlashQError('timeout', 'Connection timeout')),
      settings.timeoutMs,
    )
    const isSecure = settings.tls !== null && settings.socketPath === ''
    this.#socket.on(isSecure ? 'secureConnect' : 'connect', () => this.#onConnect())
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.#socket.on('error', (fault: Error) => {
      this.#fault ??= fault
    })
    this.#socket.on('close', () => this.#onClose())
  }

  /** Written at the end of this tick. */
  send(request: Request): void {
    request.state = 'outgoing'
    this.#outgoing.push(request)
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    atTickEnd(() => this.#flush())
  }

  /** Requests without a reply, written or about to be; those given up are among them. */
  unanswered(): Request[] {
    return [...this.#inFlight.values(), ...this.#outgoing]
  }

  /** Says good-bye after the last frame. The server answers what it has read, then closes. */
  end(): void {
    this.#flush()
    this.#socket.end()
  }

  destroy(fault: Error | null): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    this.#fault ??= fault
    this.#socket.destroy()
  }

  #onConnect(): void {
    if (this.#phase !== 'connecting') return
    if (this.#token === '') {
      this.#open()
      return
    }
    this.#phase = 'authenticating'
    this.#socket.write(frame('AUTH', AUTH_REQ_ID, `,"token":${valueText(this.#token)}`))
  }

  #open(): void {
    this.#clearConnectTimer()
    this.#phase = 'open'
    this.#owner.sessionOpened()
  }

  #flush(): void {
    this.#flushScheduled = false
    if (this.#phase !== 'open' || !this.#socket.writable || this.#outgoing.length === 0) return
    const requests = this.#outgoing
    this.#outgoing = []
    const nowMs = performance.now()
    let text = ''
    for (const request of requests) {
      if (request.state === 'settled') continue
      const reqId = this.#nextReqId
      this.#nextReqId += 1
      this.#inFlight.set(reqId, request)
      request.state = 'written'
      const line = frame(request.name, reqId, request.fieldsText(nowMs))
      request.frameBytes = Buffer.byteLength(line)
      text += line
      if (text.length >= WRITE_CHARS) {
        this.#socket.write(text)
        text = ''
      }
    }
    if (text !== '') this.#socket.write(text)
  }

  #onData(chunk: Buffer): void {
    if (this.#phase === 'ended') return
    this.silentSinceMs = 0
    this.#reader.feed(chunk)
    let reply = this.#nextReply()
    while (reply !== null) {
      this.#onReply(reply)
      if (this.#ended()) return
      reply = this.#nextReply()
    }
  }

  /** Null when more bytes are needed, or the session has just ended over a line that is no reply. */
  #nextReply(): Reply | null {
    try {
      const line = this.#reader.next()
      return line === null ? null : parseReply(line, this.#bigint)
    } catch (cause) {
      this.#garble(new FlashQError('protocol', 'Unparsable reply from the server', { cause }))
      return null
    }
  }

  /** As a call, because a listener may have ended it meanwhile. */
  #ended(): boolean {
    return this.#phase === 'ended'
  }

  #onReply(reply: Reply): void {
    if (reply.event !== undefined) {
      this.#owner.sessionEvent(reply)
      return
    }
    if (typeof reply.ok !== 'boolean') {
      this.#garble(new FlashQError('protocol', 'A reply without "ok" from the server'))
      return
    }
    if (this.#phase === 'authenticating') {
      if (reply.ok) this.#open()
      else this.destroy(refusalOf(reply))
      return
    }
    const request = typeof reply.reqId === 'number' ? this.#inFlight.get(reply.reqId) : undefined
    if (request === undefined) {
      this.#onComplaint(reply)
      return
    }
    this.#inFlight.delete(reply.reqId as number)
    this.#owner.sessionReply(request, reply)
  }

  /** A reply to no request: the server's own words, if it complains, say more than ours. */
  #onComplaint(reply: Reply): void {
    if (reply.ok === true) {
      this.#garble(new FlashQError('protocol', 'A reply to no request from the server'))
      return
    }
    if (reply.code === 'frame_too_large') this.#refuseLongest(reply)
    this.#garble(refusalOf(reply))
  }

  /** Some frame was too large, so the longest one was: that much is known not to have run. */
  #refuseLongest(reply: Reply): void {
    let longest: [number, Request] | null = null
    for (const entry of this.#inFlight) {
      if (longest === null || entry[1].frameBytes > longest[1].frameBytes) longest = entry
    }
    if (longest === null) return
    this.#inFlight.delete(longest[0])
    this.#owner.sessionReply(longest[1], reply)
  }

  #garble(fault: Error): void {
    this.#garbled = true
    this.destroy(fault)
  }

  #onClose(): void {
    this.#clearConnectTimer()
    this.#phase = 'ended'
    this.#owner.sessionEnded({
      fault: this.#fault,
      garbled: this.#garbled,
      unwritten: this.#outgoing,
      unanswered: [...this.#inFlight.values()],
    })
  }

  #clearConnectTimer(): void {
    if (this.#connectTimer !== null) clearTimeout(this.#connectTimer)
    this.#connectTimer = null
  }
}

function frame(name: string, reqId: number, fields: string): string {
  return `{"cmd":"${name}","reqId":${reqId}${fields}}\n`
}

function socketTo({ host, port, socketPath, tls }: SessionSettings): Socket {
  if (socketPath !== '') return createConnection({ path: socketPath })
  const where = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
  if (tls === null) return createConnection(where)
  const { ca, cert, key, rejectUnauthorized = true } = tls
  const servername = tls.servername ?? (isIP(host) === 0 ? host : '')
  const given = Object.fromEntries(
    Object.entries({ ca, cert, key }).filter(([, value]) => value !== undefined),
  )
  // An empty name would be sent, and then the address is not what is looked for in the certificate.
  const name = servername === '' ? {} : { servername }
  return connectTls({ ...where, ...given, ...name, rejectUnauthorized, minVersion: 'TLSv1.2' })
}
