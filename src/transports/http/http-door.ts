// The HTTP door of a worker: fastify over a server of Node whose every time and size is bounded.
//
//   request ─▶ guard ─▶ router ─▶ onRequest: headers, origin, token ─▶ handler ─▶ answers.ts
//
//   In:   HTTP/1.1 requests
//   Out:  frames to the caller, replies as JSON
//   Next: http-deps.ts for what routes get; routes/ for the routes; caller.ts
//
// 1. No request is routed that the guard has not let through, and no handler runs that `access` does not allow.
// 2. While it drains, waiting pulls end, answers say `connection: close`, and connections without a request are closed.

import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import { limits } from '../../engine/limits.ts'
import type { Clock, Gate } from '../../engine/ports.ts'
import { refusals } from '../../engine/refusal.ts'
import { Door as DoorNumber, type Traffic } from '../../engine/traffic.ts'
import { Admission } from '../auth/admission.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Guard } from '../auth/guard.ts'
import { nobody, type Principal } from '../auth/principal.ts'
import type { Usage } from '../auth/usage.ts'
import type { Caller } from '../caller.ts'
import type { Door } from '../door.ts'
import type { Log } from '../log.ts'
import type { Certificates } from '../tls/certificates.ts'
import { AllowedHosts } from './allowed-hosts.ts'
import {
  commonHeaders,
  JSON_TYPE,
  sendHttpRefusal,
  sendRefusal,
  setHeaders,
  type Terms,
} from './answers.ts'
import { Bearer, isPrincipal } from './bearer.ts'
import { HttpCommands } from './http-commands.ts'
import type { Access, HttpConfig, HttpDeps, NodeControl, RoutePlugin } from './http-deps.ts'
import { answerError, answerErrors, type Look } from './http-errors.ts'
import type { HttpRefusal } from './http-refusal.ts'
import { takeJsonBodies } from './json-bodies.ts'
import { LongPolls } from './long-polls.ts'
import { describeRoutes } from './openapi.ts'
import { OriginRule } from './origin-rule.ts'
import { answerConnect, answerParserError, continueInTurn } from './raw-answers.ts'
import { expectationRefused, originRefused, RequestGuard } from './request-guard.ts'
import { RoutePaths } from './route-paths.ts'
import { standardRoutes } from './routes.ts'

const HTTP = DoorNumber.http
const BACKLOG = 1024
/** While it drains. */
const SWEEP_MS = 50

export interface HttpDoorOptions {
  readonly config: HttpConfig
  readonly caller: Caller
  readonly auth: Authenticator
  readonly usage: Usage
  readonly guard: Guard
  readonly gate: Gate
  readonly clock: Clock
  readonly log: Log
  readonly node: NodeControl
  /** Null: plain text. */
  readonly certificates: Certificates | null
  /** Routes besides those of `routes.ts`. */
  readonly plugins: readonly RoutePlugin[]
  /** How long a peer may take; the standard is `httpTimes`. */
  readonly times?: HttpTimes
  readonly traffic: Traffic
}

export interface HttpTimes {
  readonly headersMs: number
  readonly requestMs: number
  readonly checkEveryMs: number
  /** For reading a long answer. */
  readonly writeMs: number
}

const httpTimes: HttpTimes = {
  headersMs: limits.httpHeadersMsMax,
  requestMs: limits.httpRequestMsMax,
  checkEveryMs: limits.httpCheckEveryMs,
  writeMs: limits.httpWriteMsMax,
}

export class HttpDoor implements Door {
  private readonly app: FastifyInstance
  private readonly deps: HttpDeps
  private readonly times: HttpTimes
  private readonly traffic: Traffic
  private readonly sockets = new Set<Socket>()
  private readonly terms: Terms
  private readonly certificates: Certificates | null
  private unfollow: (() => void) | null = null

  constructor(options: HttpDoorOptions) {
    this.deps = depsOf(options)
    this.times = options.times ?? httpTimes
    this.traffic = options.traffic
    this.terms = { isEnding: false, writeMs: this.times.writeMs }
    this.certificates = options.certificates
    this.app = Fastify({
      serverFactory: (handler) => this.server(handler),
      forceCloseConnections: 'idle',
      return503OnClosing: false,
      exposeHeadRoutes: false,
      bodyLimit: limits.httpBodyBytesMax,
      routerOptions: { maxParamLength: limits.pathPartBytesMax },
      frameworkErrors: (error, request, reply) => answerEarly(error, request, reply),
      clientErrorHandler: answerParserError,
    })
    this.build([...standardRoutes, ...options.plugins])
  }

  async open(host: string, port: number): Promise<number> {
    await this.app.listen({ host, port, backlog: BACKLOG })
    return (this.app.server.address() as AddressInfo).port
  }

  async drain(timeoutMs: number): Promise<void> {
    this.announceEnd()
    const timer = setTimeout(() => this.app.server.closeAllConnections(), timeoutMs)
    // An answer that had begun before did not say that it was the last.
    const sweep = setInterval(() => this.app.server.closeIdleConnections(), SWEEP_MS)
    // Those that have never said anything count as busy for Node.
    for (const socket of this.sockets) if (socket.bytesRead === 0) socket.destroy()
    await this.app.close()
    clearInterval(sweep)
    clearTimeout(timer)
    this.unfollow?.()
  }

  announceEnd(): void {
    this.terms.isEnding = true
  }

  private build(plugins: readonly RoutePlugin[]): void {
    const { app, deps } = this
    const { node, polls } = deps
    const paths = new RoutePaths()
    paths.watch(app)
    // Bodies are read by the scanner, and replies are bytes: schemas describe, and do nothing.
    app.setValidatorCompiler(() => () => true)
    app.setSerializerCompiler(() => JSON.stringify)
    // Set for each request by its `Look`.
    app.decorateRequest('principal', null as unknown as Principal)
    app.decorateRequest('bodyMax', 0)
    app.decorate('terms', this.terms)
    takeJsonBodies(app, ({ principal }, bytes) => deps.admission.charge(principal, 0, bytes))
    answerErrors(app, paths, this.lookFor('token'))
    // One hook per route, which knows what the route is: the framework would make an object of it per request.
    app.addHook('onRoute', (route) => {
      const look = this.lookFor(route.config?.access ?? 'token', route.bodyLimit)
      route.onRequest = [look, ...[route.onRequest ?? []].flat()]
    })
    // Of answers that the framework sends; `sendBody` does it by itself.
    app.addHook('onSend', (_request, reply, _payload, sent) => {
      for (const [name, value] of Object.entries(commonHeaders)) {
        if (!reply.hasHeader(name)) reply.header(name, value)
      }
      if (this.terms.isEnding) reply.header('connection', 'close')
      sent()
    })
    const unwatch = deps.auth.onChange(() =>
      polls.endInvalid((principal) => deps.auth.isValid(principal)),
    )
    app.addHook('preClose', (done) => {
      unwatch()
      polls.endAll()
      done()
    })
    describeRoutes(app, node.version, deps.auth.required)
    // Behind the description, which sees what is registered after it.
    app.after(() => {
      for (const plugin of plugins) plugin(app, deps)
    })
  }

  private server(handler: (request: IncomingMessage, response: ServerResponse) => void): Server {
    const { headersMs, requestMs, checkEveryMs } = this.times
    const { guard, config } = this.deps
    const options = {
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: checkEveryMs,
      keepAliveTimeout: limits.httpKeepAliveMs,
      maxHeaderSize: limits.httpHeaderBytesMax,
      noDelay: true,
      // The guard answers in our own words.
      requireHostHeader: false,
    }
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      const refusal = guard.check(request)
      if (refusal === null) handler(request, response)
      else refuse(response, refusal)
    }
    const server = this.secure(options, listener) ?? createServer(options, listener)
    this.followConnections(server)
    // One more than is allowed, so that the guard sees that there are too many.
    server.maxHeadersCount = limits.httpHeadersMax + 1
    server.maxRequestsPerSocket = limits.httpRequestsPerSocketMax
    server.setTimeout(limits.httpIdleMsMax)
    server.on('connect', answerConnect)
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      continueInTurn(response, () => listener(request, response)),
    )
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
      refuse(response, guard.check(request) ?? expectationRefused),
    )
    server.on('connection', (socket) => {
      // It has come again: see not-upgraded.ts.
      if (this.sockets.has(socket)) return
      // (`maxConnections` would send it back to the primary, and from there to and fro.)
      if (this.sockets.size >= config.connectionsMax) {
        this.traffic.connectionRefused(HTTP)
        return socket.destroy()
      }
      this.sockets.add(socket)
      // One for each answer that is owed on it, which are bounded.
      socket.setMaxListeners(0)
      this.traffic.connected(HTTP, 1)
      socket.once('close', () => {
        this.sockets.delete(socket)
        this.traffic.connected(HTTP, -1)
      })
    })
    return server
  }

  /** As requests know them: behind TLS. */
  private followConnections(server: Server): void {
    const { admission } = this.deps
    server.on(this.certificates === null ? 'connection' : 'secureConnection', (socket: Socket) => {
      // It may have come again: see not-upgraded.ts.
      if (admission.opened(socket)) socket.once('close', () => admission.closed(socket))
    })
  }

  /** Null where nothing is encrypted. */
  private secure(options: object, listener: RequestListener): Server | null {
    const { certificates } = this
    if (certificates === null) return null
    const server = createSecureServer({ ...options, ...certificates.current() }, listener)
    this.unfollow = certificates.onChange((changed) => server.setSecureContext(changed))
    return server
  }

  private lookFor(access: Access, bodyMax: number = limits.httpBodyBytesMax): Look {
    const { origins, bearer, admission } = this.deps
    return (request, reply, done) => {
      request.principal = nobody
      request.bodyMax = bodyMax
      if (access === 'public') return done()
      const { headers, socket } = request.raw
      if (headers.origin !== undefined) setHeaders(reply, origins.corsHeaders(headers) ?? {})
      if (access === 'own') return done()
      if (origins.refuses(headers)) return void sendHttpRefusal(reply, originRefused)
      const verdict = bearer.principalOf(headers.authorization, socket.remoteAddress ?? null)
      if (!isPrincipal(verdict)) {
        this.traffic.refused(HTTP, verdict.code)
        return void sendRefusal(reply, verdict)
      }
      const refusal = admission.admit(socket, verdict, 0)
      if (refusal !== null) {
        this.traffic.refused(HTTP, refusal.code)
        return void sendRefusal(reply, refusal)
      }
      if (access !== 'token' && !verdict.scopes.has(access)) {
        this.traffic.refused(HTTP, refusals.forbidden.code)
        return void sendRefusal(reply, refusals.forbidden)
      }
      request.principal = verdict
      done()
    }
  }
}

function depsOf(options: HttpDoorOptions): HttpDeps {
  const { config, caller, auth, guard: access, gate, clock, log, node, traffic, usage } = options
  const { host, allowedHosts, corsOrigins } = config
  const origins = new OriginRule(corsOrigins)
  const hosts = new AllowedHosts({ host, allowedHosts, needsToken: auth.required })
  return {
    config,
    caller,
    auth,
    gate,
    traffic,
    clock,
    log,
    node,
    guard: new RequestGuard(hosts, origins),
    origins,
    bearer: new Bearer(auth),
    usage,
    admission: new Admission(usage),
    access,
    commands: new HttpCommands(caller, access),
    polls: new LongPolls(caller, access),
  }
}

/** What is not routed. */
function refuse(response: ServerResponse, { status, headers, body }: HttpRefusal): void {
  response.writeHead(status, {
    ...commonHeaders,
    ...headers,
    ...(body.length > 0 ? { 'content-type': JSON_TYPE } : {}),
    'content-length': body.length,
    ...(status === 204 ? {} : { connection: 'close' }),
  })
  response.end(body)
}

/** The path or its parameters could not be read: no hook has run. */
function answerEarly(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  answerError(error, request, reply)
}
