// One attempt at one delivery: a POST, and its status.
//
//   name ──resolve──▶ addresses, all judged ──▶ connect to one of them (3 s) ──▶ POST ──▶ status ──▶ rest dropped
//
// 1. Everything together takes `totalMs` at most, whatever the receiver does.
// 2. No redirect is followed, no proxy is taken from the environment, no connection is shared or kept.
//    With a proxy of our own settings each attempt is a tunnel (CONNECT) through it, and names are its to resolve.
// 3. Of the answer nothing but its status and Retry-After is read; 64 KiB of the rest are waited for, so that a receiver
//    that is still writing is not cut off.

import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { limits } from '../../engine/limits.ts'
import { hostOf, portOf, type UrlPolicy } from './url-policy.ts'

export interface Post {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

interface Answered {
  readonly status: number
  /** The receiver's wish; null when it has none. */
  readonly retryAfterMs: number | null
}

/** `error` in the server's own words: nothing of the receiver's, and nothing secret. */
export type Attempted = Answered | { readonly error: string }

/** All addresses of a name; rejects when there are none. */
type Resolve = (name: string) => Promise<readonly string[]>

export interface AttemptOptions {
  readonly policy: Pick<UrlPolicy, 'refuse' | 'refuseAddresses'>
  readonly resolve: Resolve
  /** Whom all attempts go through; null: nobody. */
  readonly proxy?: string | null
  readonly connectMs?: number
  readonly totalMs?: number
}

/** Never rejects. When `signal` aborts, it ends at once. */
export async function attempt(
  post: Post,
  options: AttemptOptions,
  signal: AbortSignal,
): Promise<Attempted> {
  const { policy, resolve, totalMs = limits.webhookTotalMs } = options
  const refusal = policy.refuse(post.url)
  if (refusal !== null) return { error: refusal }
  const url = new URL(post.url)
  const cut = AbortSignal.any([signal, AbortSignal.timeout(totalMs)])
  try {
    const { proxy = null, connectMs = limits.webhookConnectMs } = options
    if (proxy !== null) {
      return await send(url, { agent: new HttpsProxyAgent(proxy) }, post, connectMs, cut)
    }
    const addresses = await addressesOf(url, resolve, cut)
    const why = policy.refuseAddresses(url, addresses)
    if (why !== null) return { error: why }
    return await send(url, { agent: false, lookup: pinned(addresses) }, post, connectMs, cut)
  } catch (error) {
    return { error: wordsFor(error) }
  }
}

async function addressesOf(
  url: URL,
  resolve: Resolve,
  cut: AbortSignal,
): Promise<readonly string[]> {
  const host = hostOf(url)
  if (isIP(host) !== 0) return [host]
  return Promise.race([resolve(host), aborted(cut)])
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(new Fault('took too long'))
    signal.addEventListener('abort', () => reject(new Fault('took too long')), { once: true })
  })
}

function send(
  url: URL,
  way: Pick<RequestOptions, 'agent' | 'lookup'>,
  { headers, body }: Post,
  connectMs: number,
  cut: AbortSignal,
): Promise<Answered> {
  const host = hostOf(url)
  const options: RequestOptions = {
    method: 'POST',
    host,
    port: portOf(url),
    path: `${url.pathname}${url.search}`,
    headers: { ...headers, 'content-length': String(body.length) },
    ...way,
    maxHeaderSize: limits.webhookAnswerHeadBytesMax,
    signal: cut,
  }
  const isTls = url.protocol === 'https:'
  const servername = isIP(host) === 0 ? host : ''
  return new Promise((resolve, reject) => {
    const request = isTls ? httpsRequest({ ...options, servername }) : httpRequest(options)
    const timer = setTimeout(
      () => request.destroy(new Fault('could not connect in time')),
      connectMs,
    )
    request.on('socket', (socket) => {
      // Through a proxy it is there already.
      if (!isTls && !socket.connecting) clearTimeout(timer)
      socket.once(isTls ? 'secureConnect' : 'connect', () => clearTimeout(timer))
    })
    request.on('close', () => clearTimeout(timer))
    request.on('proxyConnect', ({ statusCode }: { statusCode: number }) => {
      if (statusCode !== 200) request.destroy(new Fault(`the proxy refuses it (${statusCode})`))
    })
    let answered: Answered | null = null
    // Whatever becomes of the rest, the status has been said.
    request.on('error', (error) => (answered === null ? reject(error) : resolve(answered)))
    request.on('response', (response) => {
      const said = { status: response.statusCode ?? 0, retryAfterMs: retryAfterOf(response) }
      answered = said
      dropBody(response, () => resolve(said))
    })
    request.end(body)
  })
}

/** Nobody looks the name up again: these addresses were judged. */
function pinned(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_host, options, callback) => {
    const [first] = all
    if (first === undefined) callback(new Fault('its name has no address'), '', 4)
    else if (options.all) callback(null, all)
    else callback(null, first.address, first.family)
  }
}

function dropBody(response: IncomingMessage, done: () => void): void {
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limits.webhookAnswerBytesMax) response.destroy()
  })
  response.on('error', () => undefined)
  response.on('close', done)
}

/** Seconds, or a date. */
function retryAfterOf({ headers }: IncomingMessage): number | null {
  const text = headers['retry-after']
  if (text === undefined) return null
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1000
  const sentMs = Date.parse(headers.date ?? '')
  const untilMs = Date.parse(text)
  const waitMs = untilMs - sentMs
  return Number.isFinite(waitMs) && waitMs >= 0 ? waitMs : null
}

/** A failure in our own words. */
class Fault extends Error {
  readonly code = 'FAULT'
}

const WORDS: Readonly<Record<string, string>> = {
  ABORT_ERR: 'took too long',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ETIMEDOUT: 'could not connect in time',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'host unreachable',
  ENOTFOUND: 'its name has no address',
  EAI_AGAIN: 'its name could not be resolved',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is self-signed',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate can not be verified',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is of another name',
  HPE_HEADER_OVERFLOW: 'its answer has too many headers',
}

function wordsFor(error: unknown): string {
  if (error instanceof Fault) return error.message
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code !== 'string') return 'failed'
  return WORDS[code] ?? `failed (${code})`
}
