// Where the server is, in one word: the option `url` of the client, FLASHQ_URL and `--url` of the command line.
//
//   flashq://[:token@]host[:6789]     the line protocol        unix:/path/to/socket
//   flashqs://[:token@]host[:6789]    the same over TLS        http(s)://[:token@]host[:port][/path]

/** Options of the client. */
export interface ServerPlace {
  readonly host?: string
  readonly port?: number
  readonly socketPath?: string
  readonly httpUrl?: string
  readonly tls?: true
  readonly token?: string
}

export const DEFAULT_URL = 'flashq://localhost:6789'

/** Throws a RangeError. */
export function placeOfUrl(text: string): ServerPlace {
  if (text.startsWith('unix:')) return { socketPath: socketPathOf(text) }
  const url = parsed(text)
  const token = tokenOf(url)
  switch (url.protocol) {
    case 'flashq:':
      return { ...linePlace(url), ...token }
    case 'flashqs:':
      return { ...linePlace(url), ...token, tls: true }
    case 'http:':
    case 'https:':
      return { httpUrl: `${url.protocol}//${url.host}${url.pathname}`, ...token }
    default:
      throw new RangeError(
        `${text}: a server's URL begins with flashq://, flashqs://, unix:, http:// or https://`,
      )
  }
}

function linePlace(url: URL): ServerPlace {
  if (!/^\/?$/.test(url.pathname)) throw new RangeError(`${url.href}: a flashq URL has no path`)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { host, ...(url.port === '' ? {} : { port: Number(url.port) }) }
}

function parsed(text: string): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new RangeError(`${text} is no URL; an example: ${DEFAULT_URL}`)
  }
  if (url.hostname === '') throw new RangeError(`${text} names no host; an example: ${DEFAULT_URL}`)
  return url
}

function socketPathOf(text: string): string {
  const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
  if (path === '') throw new RangeError('unix: needs a path, as in unix:/run/flashq.sock')
  return path
}

/** The password, or, as some write it, the user. */
function tokenOf(url: URL): { token?: string } {
  const token = url.password === '' ? url.username : url.password
  return token === '' ? {} : { token: decodeURIComponent(token) }
}
