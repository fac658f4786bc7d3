// What a person sees when the server is up: what listens where, and what to try next.

import type { Config } from './config.ts'
import { version } from './version.ts'

/** Where the server really listens, which `PORT=0` leaves open. */
export interface Addresses {
  readonly tcp: { readonly host: string; readonly port: number }
  readonly unixSocket: string | null
}

/** For stderr, newline at its end. `warnings` are those of `configWarnings`. */
export function banner(
  config: Config,
  addresses: Addresses,
  warnings: readonly string[] = [],
): string {
  const { tcp, unixSocket } = addresses
  const lines = [`FlashQ ${version} listens on`, `  TCP          ${hostPort(tcp.host, tcp.port)}`]
  if (unixSocket !== null) lines.push(`  Unix socket  ${unixSocket}`)
  lines.push(`  ${summary(config)}`)
  for (const warning of warnings) lines.push(`  Warning: ${warning}`)
  lines.push('', 'Try next', ...nextSteps(config, addresses), '', 'Ctrl-C stops it.', '')
  return lines.join('\n')
}

function summary(config: Config): string {
  const workers = config.workers === 1 ? '1 worker' : `${config.workers} workers`
  const auth = config.authTokens.length === 0 ? 'no AUTH_TOKENS' : 'AUTH needed'
  return `${workers}, ${jobs(config)}, ${auth}`
}

function jobs({ databaseUrl, durability, dataDir }: Config): string {
  if (databaseUrl === null) return 'jobs in memory'
  const where = databaseUrl === 'embedded' ? `a private PostgreSQL in ${dataDir}` : 'PostgreSQL'
  return durability === 'sync' ? `jobs in ${where}` : `jobs in ${where}, written behind (async)`
}

function nextSteps(config: Config, { tcp }: Addresses): string[] {
  const host = reachable(tcp.host)
  const auth = config.authTokens.length === 0 ? '' : '{"cmd":"AUTH","token":"YOUR-TOKEN"}\\n'
  const commands =
    '{"cmd":"PUSH","queue":"mail","data":{"to":"ann"}}\\n{"cmd":"PULL","queue":"mail"}\\n'
  const isDefault = host === '127.0.0.1' && tcp.port === 6789
  const environment = isDefault ? '' : `FLASHQ_HOST=${host} FLASHQ_PORT=${tcp.port} `
  return [
    `  printf '${auth}${commands}' | nc -w 1 ${host} ${tcp.port}`,
    `  ${environment}node examples/01-push-pull-ack.mjs`,
    '  The client for TypeScript and JavaScript is sdk/typescript (package flashq),',
    '  the protocol is proto/protocol.md, the settings are flashq-server --help.',
  ]
}

/** An address of this machine that a client on it can use. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
