// What a person sees when the server is up: what listens where, and what to try next.

import type { Config } from './config.ts'
import type { DoorPorts } from './engine/ports.ts'
import { version } from './version.ts'

/** For stderr, newline at its end. `ports`: where it really listens; `warnings` are those of `configWarnings`. */
export function banner(config: Config, ports: DoorPorts, warnings: readonly string[] = []): string {
  const { host, unixSocket } = config
  const lines = [`FlashQ ${version} listens on`, `  TCP          ${hostPort(host, ports.tcp)}`]
  if (ports.http !== null) lines.push(`  HTTP         http://${hostPort(host, ports.http)}`)
  if (ports.grpc !== null) lines.push(`  gRPC         ${hostPort(host, ports.grpc)}`)
  if (unixSocket !== null) lines.push(`  Unix socket  ${unixSocket}`)
  lines.push(`  ${summary(config)}`)
  for (const warning of warnings) lines.push(`  Warning: ${warning}`)
  lines.push('', 'Try next', ...nextSteps(config, ports), '', 'Ctrl-C stops it.', '')
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

function nextSteps(config: Config, { tcp: port }: DoorPorts): string[] {
  const host = reachable(config.host)
  const auth = config.authTokens.length === 0 ? '' : '{"cmd":"AUTH","token":"YOUR-TOKEN"}\\n'
  const commands =
    '{"cmd":"PUSH","queue":"mail","data":{"to":"ann"}}\\n{"cmd":"PULL","queue":"mail"}\\n'
  const isDefault = host === '127.0.0.1' && port === 6789
  const environment = isDefault ? '' : `FLASHQ_HOST=${host} FLASHQ_PORT=${port} `
  return [
    `  printf '${auth}${commands}' | nc -w 1 ${host} ${port}`,
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
