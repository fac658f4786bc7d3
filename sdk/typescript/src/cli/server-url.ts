// Where the server is, in one word: the FLASHQ_URL of the environment, or `--url`.
//
//   flashq://[:token@]host[:6789]     the line protocol        unix:/path/to/socket
//   flashqs://[:token@]host[:6789]    the same over TLS        http(s)://[:token@]host[:port][/path]

import type { ClientOptions } from '../options.ts'
import { UsageError } from './exit-code.ts'

export const DEFAULT_URL = 'flashq://localhost:6789'

/** Options of the client. Throws a UsageError. */
export function optionsOfUrl(text: string): ClientOptions {
  if (text.startsWith('unix:')) return { socketPath: socketPathOf(text) }
  const url = parsed(text)
  const token = tokenOf(url)
  switch (url.protocol) {
    case 'flashq:':
      return { ...lineOptions(url), ...token }
    case 'flashqs:':
      return { ...lineOptions(url), ...token, tls: true }
    case 'http:':
    case 'https:':
      return { httpUrl: `${url.protocol}//${url.host}${url.pathname}`, ...token }
    default:
      throw new UsageError(
        `${text}: a server's URL begins with flashq://, flashqs://, unix:, http:// or https://`,
      )
  }
}

function lineOptions(url: URL): ClientOptions {
  if (!/^\/?$/.test(url.pathname)) throw new UsageError(`${url.href}: a flashq URL has no path`)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { host, ...(url.port === '' ? {} : { port: Number(url.port) }) }
}

function parsed(text: string): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new UsageError(`${text} is no URL; an example: ${DEFAULT_URL}`)
  }
  if (url.hostname === '') throw new UsageError(`${text} names no host; an example: ${DEFAULT_URL}`)
  return url
}

function socketPathOf(text: string): string {
  const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
  if (path === '') throw new UsageError('unix: needs a path, as in unix:/run/flashq.sock')
  return path
}

/** The password, or, as some write it, the user. */
function tokenOf(url: URL): { token?: string } {
  const token = url.password === '' ? url.username : url.password
  return token === '' ? {} : { token: decodeURIComponent(token) }
}
