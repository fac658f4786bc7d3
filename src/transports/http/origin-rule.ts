// Which pages of a browser may ask: the server's own, and those of `CORS_ORIGINS`.
//
// Programs that are no browsers send none of these headers, and are not concerned. A browser sends `Origin` with all that
// may change something, and `Sec-Fetch-Site` also where it sends no origin (an image, a link): a page that is not ours
// could otherwise pull jobs with `<img src>`.

import type { IncomingHttpHeaders } from 'node:http'

export class OriginRule {
  private readonly allowed: ReadonlySet<string>

  constructor(corsOrigins: readonly string[]) {
    this.allowed = new Set(corsOrigins)
  }

  /** It comes from a page that may not ask. */
  refuses(headers: IncomingHttpHeaders): boolean {
    const { origin } = headers
    if (origin !== undefined) return !(isOwn(origin, headers.host) || this.allowed.has(origin))
    const site = headers['sec-fetch-site']
    return site !== undefined && site !== 'same-origin' && site !== 'none'
  }

  /** What the browser must be told, so that a page of another origin sees the answer; null: nothing. */
  corsHeaders(headers: IncomingHttpHeaders): Readonly<Record<string, string>> | null {
    const { origin } = headers
    if (origin === undefined || !this.allowed.has(origin)) return null
    return {
      'access-control-allow-origin': origin,
      'access-control-expose-headers': 'retry-after',
      vary: 'origin',
    }
  }

  /** The answer to a preflight, or null: that page may not ask. */
  preflightHeaders(headers: IncomingHttpHeaders): Readonly<Record<string, string>> | null {
    const cors = this.corsHeaders(headers)
    if (cors === null) return null
    return {
      ...cors,
      'access-control-allow-methods': 'GET, POST, PATCH, DELETE',
      'access-control-allow-headers':
        'authorization, content-type, last-event-id, traceparent, tracestate',
      'access-control-max-age': '600',
    }
  }
}

/** A browser writes its origin in lower case, and leaves the usual port out, as in Host. */
function isOwn(origin: string, host: string | undefined): boolean {
  if (host === undefined) return false
  const name = host.toLowerCase()
  return origin === `http://${name}` || origin === `https://${name}`
}
