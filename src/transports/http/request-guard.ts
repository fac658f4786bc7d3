// The first look at a request, before it is routed: its method, its target, its Host, how many headers it has.
//
// What Node's parser refuses (both lengths, bare line feeds, folded headers, …) never comes here: see raw-answers.ts.
// What it lets through and must not be: a target with a host of its own, two Host headers or none, TRACE.

import type { IncomingMessage } from 'node:http'
import { limits } from '../../engine/limits.ts'
import type { AllowedHosts } from './allowed-hosts.ts'
import { type HttpRefusal, refusedByHttp } from './http-refusal.ts'
import type { OriginRule } from './origin-rule.ts'

/** The router says itself what a path has. */
const ROUTED = new Set(['GET', 'POST', 'DELETE', 'HEAD', 'PUT', 'PATCH'])
const ALLOW = 'GET, POST, PATCH, DELETE'

export class RequestGuard {
  private readonly hosts: AllowedHosts
  private readonly origins: OriginRule

  constructor(hosts: AllowedHosts, origins: OriginRule) {
    this.hosts = hosts
    this.origins = origins
  }

  /** Null: it may go on. */
  check(request: IncomingMessage): HttpRefusal | null {
    const { method = '', url = '', rawHeaders, headers } = request
    if (rawHeaders.length > 2 * limits.httpHeadersMax) {
      return refusedByHttp('headers_too_large', `Too many headers (max ${limits.httpHeadersMax})`)
    }
    if (!hasOneHost(rawHeaders)) {
      return refusedByHttp('bad_request', 'There must be exactly one Host header')
    }
    if (!this.hosts.has(headers.host ?? '')) {
      return refusedByHttp(
        'host_refused',
        'This server is not called so: see ALLOWED_HOSTS in docs/http.md',
      )
    }
    if (method === 'OPTIONS' && 'access-control-request-method' in headers) {
      return this.preflight(request)
    }
    if (!ROUTED.has(method)) {
      return refusedByHttp('method_not_allowed', 'Method not allowed', { allow: ALLOW })
    }
    if (url.charCodeAt(0) !== 0x2f) {
      return refusedByHttp('bad_request', 'The target must be a path')
    }
    return isEncoded(headers['content-encoding'])
      ? refusedByHttp(
          'unsupported_media_type',
          'Bodies are taken as they are, without Content-Encoding',
        )
      : null
  }

  private preflight(request: IncomingMessage): HttpRefusal {
    const headers = this.origins.preflightHeaders(request.headers)
    if (headers === null) return originRefused
    return { status: 204, headers, body: Buffer.alloc(0) }
  }
}

export const originRefused: HttpRefusal = refusedByHttp(
  'origin_refused',
  'Pages of other origins may not use this server: see CORS_ORIGINS in docs/http.md',
)

export const expectationRefused: HttpRefusal = refusedByHttp(
  'expectation_failed',
  'Nothing is expected of this server but 100-continue',
)

/** Node joins some headers that come twice, and drops others; only the raw list tells. */
function hasOneHost(rawHeaders: readonly string[]): boolean {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts === 1
}

function isEncoded(encoding: string | undefined): boolean {
  return encoding !== undefined && encoding.toLowerCase() !== 'identity'
}
