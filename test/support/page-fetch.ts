// `fetch` as a page of `origin` has it, for where there is no browser: the rules of CORS in front of Node's own.
//
//   not simple ──▶ OPTIONS ──▶ origin, method, headers allowed? ──▶ the request ──▶ origin allowed? ──▶ what is exposed
//                                  └ no ─────────────────────────────────────────────────┴ no ──▶ TypeError
//
// No cookie and no other credential of the browser goes along: that is what `fetch` does between origins by itself.

const SIMPLE_METHODS = new Set(['GET', 'HEAD', 'POST'])
const SIMPLE_HEADERS = new Set(['accept', 'accept-language', 'content-language'])
/** Headers of an answer that a page sees unasked. */
const SEEN_HEADERS = [
  'cache-control',
  'content-language',
  'content-length',
  'content-type',
  'expires',
]

export interface PageFetch {
  readonly fetch: typeof fetch
  /** `METHOD path` of every preflight. */
  readonly preflights: string[]
}

export function pageFetch(origin: string): PageFetch {
  const plain = globalThis.fetch
  const preflights: string[] = []
  const own: typeof fetch = async (target, init = {}) => {
    const url = String(target)
    const method = init.method ?? 'GET'
    const headers = new Headers(init.headers)
    if (init.credentials !== undefined) throw new Error('the client asks for credentials')
    const names = [...headers.keys()].filter((name) => !SIMPLE_HEADERS.has(name)).sort()
    if (!SIMPLE_METHODS.has(method) || names.length > 0) {
      preflights.push(`${method} ${new URL(url).pathname}`)
      const asked = {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': names.join(','),
      }
      const answer = await plain(url, { method: 'OPTIONS', headers: asked })
      await answer.arrayBuffer()
      mayPass(answer, origin)
      const methods = listed(answer, 'access-control-allow-methods')
      const allowed = listed(answer, 'access-control-allow-headers')
      const missing = names.find((name) => !allowed.includes(name))
      if (!answer.ok || !(SIMPLE_METHODS.has(method) || methods.includes(method.toLowerCase()))) {
        throw new TypeError(`Failed to fetch: ${method} is not allowed`)
      }
      if (missing !== undefined) throw new TypeError(`Failed to fetch: no header ${missing}`)
    }
    headers.set('origin', origin)
    headers.set('sec-fetch-site', 'cross-site')
    const response = await plain(url, { ...init, headers })
    mayPass(response, origin)
    const seen = [...SEEN_HEADERS, ...listed(response, 'access-control-expose-headers')]
    const shown = [...response.headers].filter(([name]) => seen.includes(name))
    return new Response(response.body, { status: response.status, headers: shown })
  }
  return { fetch: own, preflights }
}

function mayPass({ headers }: Response, origin: string): void {
  const allowed = headers.get('access-control-allow-origin')
  if (allowed !== origin) throw new TypeError(`Failed to fetch: for ${String(allowed)} only`)
}

function listed({ headers }: Response, name: string): string[] {
  return (headers.get(name) ?? '').split(',').map((word) => word.trim().toLowerCase())
}
