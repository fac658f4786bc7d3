// Every option of the client, with its default and its bounds.

import { FlashQError } from './errors.ts'

export interface ClientOptions {
  /** Default `localhost`. */
  host?: string | undefined
  /** Default 6789. */
  port?: number | undefined
  /** Path of a Unix socket; when set, host and port are ignored. */
  socketPath?: string | undefined
  /** Encrypts: true trusts the authorities that Node trusts. Of no use with a Unix socket, which is plain. */
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
  /** Of the HTTP interface, which this client does not use. Default 6790. */
  httpPort?: number | undefined
  /** Not supported: true is refused with code `unsupported`. */
  useHttp?: boolean | undefined
}

/** As Node's `tls.connect` has them; texts and buffers are PEM. */
export interface TlsOptions {
  /** Who issued the server's certificate, instead of the authorities that Node trusts. */
  ca?: string | Buffer | readonly (string | Buffer)[] | undefined
  /** What a server with TLS_CA wants to see of its clients. */
  cert?: string | Buffer | undefined
  key?: string | Buffer | undefined
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
  readonly timeoutMs: number
  readonly autoBatch: boolean
  readonly offlineCallsMax: number
  readonly retryConnect: boolean
  readonly reconnectDelayMs: number
  readonly reconnectDelayMsMax: number
}

/** Longer timers would fire at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1

export function resolveSettings(options: ClientOptions): Settings {
  if (options.useHttp === true) {
    throw new FlashQError('unsupported', 'useHttp is not supported: this client speaks TCP')
  }
  return {
    host: options.host ?? 'localhost',
    port: within('port', options.port ?? 6789, 0, 65_535),
    socketPath: options.socketPath ?? '',
    tls: options.tls === true ? {} : options.tls || null,
    token: options.token ?? '',
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

export function within(name: string, value: number, min: number, max: number): number {
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw new RangeError(`${name} must be a number from ${min} to ${max}, not ${String(value)}`)
}
