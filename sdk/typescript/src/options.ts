// Every option of the client, with its default and its bounds.

import { placeOfUrl } from './server-url.ts'

export interface ClientOptions {
  /**
   * Where the server is and how it is spoken to, in one word: `flashq://host:6789`, `flashqs://` (TLS), `unix:/path`,
   * `http://` or `https://`, with `:token@` before the host when there is one. Goes before the options that say the same.
   */
  url?: string | undefined
  /** Default `localhost`. */
  host?: string | undefined
  /** Default 6789. */
  port?: number | undefined
  /** Path of a Unix socket; when set, host and port are ignored. */
  socketPath?: string | undefined
  /**
   * Encrypts: true trusts the authorities that Node trusts. Of no use with a Unix socket, which is plain. Over HTTP it
   * means https, and can be no more than true: there authorities come from Node's `NODE_EXTRA_CA_CERTS`.
   */
  tls?: boolean | TlsOptions | undefined
  /** Sent by AUTH on every new connection. */
  token?: string | undefined
  /** ms for connecting and for every request except pulls, which wait at the server. Default 5000. */
  timeout?: number | undefined
  /** Pushes, and acks, made in the same tick travel as one frame. Default true. */
  autoBatch?: boolean | undefined
  /** Calls that may wait while there is no connection; one more is refused with `overloaded`. Default 10,000. */
  offlineQueueMax?: number | undefined
  /** Keep trying when the very first connection fails. Default false: `connect()` rejects. */
  retryConnect?: boolean | undefined
  /** ms; the n-th attempt to reconnect waits a random time below this times 2^n. Default 50. */
  reconnectDelay?: number | undefined
  /** ms; upper limit of that time. Default 5000. */
  reconnectDelayMax?: number | undefined
  /** Speak HTTP instead of the line protocol. Default false; in the browser's entry always true. */
  useHttp?: boolean | undefined
  /** Of the HTTP interface at `host`. Default 6790. */
  httpPort?: number | undefined
  /** Base of the HTTP interface, `https://queue.example.org/flashq`; `host` and `httpPort` are then ignored. Implies `useHttp`. */
  httpUrl?: string | undefined
  /** Integers beyond 2^53 in answers are given as bigint instead of being rounded. Default false. */
  bigint?: boolean | undefined
}

/** As Node's `tls.connect` has them; texts and buffers are PEM. */
export interface TlsOptions {
  /** Who issued the server's certificate, instead of the authorities that Node trusts. */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
  /** What a server with TLS_CA wants to see of its clients. */
  cert?: string | Uint8Array | undefined
  key?: string | Uint8Array | undefined
  /** The name that must be in the certificate. Default: the host. */
  servername?: string | undefined
  /** False: whoever answers is believed to be the server. For trials only. Default true. */
  rejectUnauthorized?: boolean | undefined
}

export interface Settings {
  readonly host: string
  readonly port: number
  readonly socketPath: string
  /** Null: plain text. */
  readonly tls: TlsOptions | null
  readonly token: string
  /** Without a slash at its end. */
  readonly httpUrl: string
  readonly bigint: boolean
  readonly timeoutMs: number
  readonly autoBatch: boolean
  readonly offlineCallsMax: number
  readonly retryConnect: boolean
  readonly reconnectDelayMs: number
  readonly reconnectDelayMsMax: number
}

/** Longer timers would fire at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1

/** Throws a RangeError. */
export function resolveSettings(given: ClientOptions, overHttp: boolean): Settings {
  const options = withPlace(given)
  if (overHttp) checkHttp(options)
  return {
    host: options.host ?? 'localhost',
    port: within('port', options.port ?? 6789, 0, 65_535),
    socketPath: options.socketPath ?? '',
    tls: options.tls === true ? {} : options.tls || null,
    token: options.token ?? '',
    httpUrl: httpUrlOf(options),
    bigint: options.bigint ?? false,
    timeoutMs: within('timeout', options.timeout ?? 5000, 1, TIMER_MS_MAX),
    autoBatch: options.autoBatch ?? true,
    offlineCallsMax: within('offlineQueueMax', options.offlineQueueMax ?? 10_000, 0, 2 ** 31),
    retryConnect: options.retryConnect ?? false,
    reconnectDelayMs: within('reconnectDelay', options.reconnectDelay ?? 50, 0, TIMER_MS_MAX),
    reconnectDelayMsMax: within(
      'reconnectDelayMax',
      options.reconnectDelayMax ?? 5000,
      0,
      TIMER_MS_MAX,
    ),
  }
}

export function isHttp(given: ClientOptions): boolean {
  const options = withPlace(given)
  return options.useHttp === true || options.httpUrl !== undefined
}

export function within(name: string, value: number, min: number, max: number): number {
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw new RangeError(`${name} must be a number from ${min} to ${max}, not ${String(value)}`)
}

/** With what `url` says in place of what it goes before. */
function withPlace(options: ClientOptions): ClientOptions {
  if (options.url === undefined) return options
  const { host, port, socketPath, httpUrl, useHttp, ...others } = options
  const place = placeOfUrl(options.url)
  return {
    ...others,
    ...place,
    tls: place.tls === true ? others.tls || true : others.tls,
    token: others.token ?? place.token,
  }
}

/** Nobody is told a token in the clear who asked for TLS, or is spoken to whom the certificate was not checked as asked. */
function checkHttp({ url, httpUrl, tls }: ClientOptions): void {
  if (url !== undefined && httpUrl === undefined) {
    throw new RangeError(`${url}: this client speaks HTTP only, so its URL is http:// or https://`)
  }
  if (tls && httpUrl !== undefined && !httpUrl.startsWith('https:')) {
    throw new RangeError(`tls is asked for, and ${httpUrl} does not begin with https://`)
  }
  if (typeof tls === 'object' && Object.values(tls).some((value) => value !== undefined)) {
    throw new RangeError(
      'over HTTP tls can only be true: give authorities by NODE_EXTRA_CA_CERTS, or speak flashqs://',
    )
  }
}

/** Throws when it is no URL of a web server. */
function httpUrlOf({ httpUrl, host = 'localhost', httpPort = 6790, tls }: ClientOptions): string {
  const port = within('httpPort', httpPort, 0, 65_535)
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  const url = new URL(httpUrl ?? `${tls ? 'https' : 'http'}://${name}:${port}`)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new RangeError(`httpUrl must begin with http:// or https://, not ${url.protocol}`)
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}
