// Upgrades to WebSocket: `/ws` and `/ws/{queue}`.
//
//   upgrade ─▶ guard: method, target, Host ─▶ Origin ─▶ path ─▶ token ─▶ filter ─▶ stream
//
// 1. Whatever is wrong is answered in HTTP, before the upgrade. An upgrade to anything else is none: not-upgraded.ts.
// 2. A token may come as `Authorization: Bearer`, as a subprotocol `flashq.bearer.TOKEN` (percent-encoded), because
//    browsers can't set headers here, or as `?token=`, as existing clients send it.

import type { IncomingHttpHeaders, IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { limits } from '../../engine/limits.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { ownerOf } from '../auth/owner.ts'
import type { Principal } from '../auth/principal.ts'
import { refusedByHttp } from '../http/http-refusal.ts'
import { notUpgraded } from '../http/not-upgraded.ts'
import { answerUnderWay, refuseInTurn } from '../http/raw-answers.ts'
import { originRefused } from '../http/request-guard.ts'
import type { EventDeps, HttpAnswer } from './event-deps.ts'
import { type EventFilter, filterOf } from './filter.ts'
import { WebSocketSink } from './web-socket-sink.ts'

const PROTOCOL = 'flashq'
const BEARER_PROTOCOL = 'flashq.bearer.'
const FRAGMENTS_MAX = 64
const PATH = /^\/ws(?:\/([^/?]+))?\/?$/
/** In the words that existing clients know. */
const badToken: HttpAnswer = {
  status: 401,
  headers: { 'content-type': 'text/plain' },
  body: Buffer.from('Invalid or missing token'),
}
const noRoute = refusedByHttp('not_found', 'No such route')
const notAlone = refusedByHttp('bad_request', 'An upgrade must wait for the answers before it')

interface Admitted {
  readonly principal: Principal
  readonly filter: EventFilter
  readonly owner: string
}

export class WebSocketDoor {
  private readonly deps: EventDeps
  private readonly server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    autoPong: false,
    perMessageDeflate: false,
    maxPayload: limits.webSocketMessageBytesMax,
    maxFragments: FRAGMENTS_MAX,
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : firstOf(offered)),
  })

  constructor(deps: EventDeps) {
    this.deps = deps
  }

  attach(server: Server): void {
    server.on('upgrade', (request, socket, head) => {
      // Until somebody has it: a peer that goes meanwhile is no error of ours.
      socket.on('error', () => undefined)
      if (answerUnderWay(socket) !== null) return refuseInTurn(socket, notAlone)
      if (request.headers.upgrade?.toLowerCase() === 'websocket')
        this.upgrade(request, socket, head)
      else notUpgraded(server, request, socket, head)
    })
    this.server.on('wsClientError', (error, socket) => refuseInTurn(socket, badHandshake(error)))
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { deps } = this
    const refused = deps.guard.check(request) ?? this.originRefused(request.headers)
    if (refused !== null) return refuseInTurn(socket, refused)
    const verdict = this.admit(request)
    if ('status' in verdict) return refuseInTurn(socket, verdict)
    this.begin(request, socket, head, verdict)
  }

  /** The client is let in when its stream has begun: from then on it misses nothing. */
  private begin(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    { principal, filter, owner }: Admitted,
  ): void {
    const { streams, clock, isAllowed, traffic } = this.deps
    request.socket.setTimeout(0)
    const sink = new WebSocketSink(request.socket, clock, {
      drained: () => streams.drained(),
      flooded: () => traffic.cut('ws', 'flood'),
    })
    const stream = streams.open({
      filter,
      sink,
      owner,
      lastEventId: null,
      begun: () =>
        this.server.handleUpgrade(request, socket, head, (webSocket) => sink.begin(webSocket)),
      isAllowed: () => isAllowed(principal),
    })
    socket.once('close', () => streams.close(stream))
  }

  private originRefused(headers: IncomingHttpHeaders): HttpAnswer | null {
    return this.deps.origins.refuses(headers) ? originRefused : null
  }

  private admit(request: IncomingMessage): HttpAnswer | Admitted {
    const { deps } = this
    const [path = '', query] = (request.url ?? '').split(/\?(.*)/s)
    const match = PATH.exec(path)
    if (match === null) return noRoute
    const asked = new URLSearchParams(query)
    const address = request.socket.remoteAddress ?? null
    const principal = this.principalOf(request.headers, asked, address)
    if ('code' in principal) {
      return principal.code === 'auth_throttled' ? deps.answerOf(principal) : badToken
    }
    const queue = decoded(match[1])
    if (queue === null) return deps.answerOf(refusals.queueCharacters)
    const filter = filterOf(principal, {
      queues: queue ?? asked.get('queues') ?? undefined,
      types: asked.get('types') ?? undefined,
    })
    if ('code' in filter) return deps.answerOf(filter)
    const owner = ownerOf(principal, address)
    const refusal =
      deps.admission.admit(request.socket, principal, 0) ?? deps.streams.refusalFor(owner)
    return refusal === null ? { principal, filter, owner } : deps.answerOf(refusal)
  }

  private principalOf(
    { authorization, 'sec-websocket-protocol': protocols }: IncomingHttpHeaders,
    query: URLSearchParams,
    address: string | null,
  ): Principal | Refusal {
    const { bearer } = this.deps
    if (authorization !== undefined) return bearer.principalOf(authorization, address)
    const offered = (protocols ?? '').split(',').map((name) => name.trim())
    const protocol = offered.find((name) => name.startsWith(BEARER_PROTOCOL))
    const token = decoded(protocol?.slice(BEARER_PROTOCOL.length)) ?? query.get('token')
    if (token === null) return bearer.principalOf(undefined, address)
    return bearer.principalOfToken(token, address)
  }
}

/** Null: it can't be. */
function decoded(text: string | undefined): string | null | undefined {
  if (text === undefined) return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

function firstOf(offered: ReadonlySet<string>): string | false {
  const [first] = offered
  return first ?? false
}

/** `ws` has looked at it, last of all. */
function badHandshake({ message }: Error): HttpAnswer {
  return refusedByHttp('bad_request', `Not a handshake of a WebSocket: ${message}`, {
    'sec-websocket-version': '13, 8',
  })
}
