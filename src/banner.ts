// What a person sees when the server is up: what listens where, and what to try next.

import type { Config } from './config.ts'
import type { DoorPorts } from './engine/ports.ts'
import { version } from './version.ts'

/** For stderr, newline at its end. `ports`: where it really listens; `warnings` are those of `configWarnings`. */
export function banner(config: Config, ports: DoorPorts, warnings: readonly string[] = []): string {
  const { host, unixSocket } = config
  const lines = [`FlashQ ${version} listens on`, `  TCP          ${hostPort(host, ports.tcp)}`]
  const scheme = config.tlsCert === null ? 'http' : 'https'
  if (ports.http !== null) lines.push(`  HTTP         ${scheme}://${hostPort(host, ports.http)}`)
  if (ports.grpc !== null) lines.push(`  gRPC         ${hostPort(host, ports.grpc)}`)
  if (unixSocket !== null) lines.push(`  Unix socket  ${unixSocket}`)
  lines.push(`  ${summary(config)}`)
  for (const warning of warnings) lines.push(`  Warning: ${warning}`)
  lines.push('', 'Try next', ...nextSteps(config, ports), '', 'Ctrl-C stops it.', '')
  return lines.join('\n')
}

function summary(config: Config): string {
  const workers = config.workers === 1 ? '1 worker' : `${config.workers} workers`
  const auth = isOpen(config) ? 'no tokens needed' : 'tokens needed'
  const tls = config.tlsCert === null ? '' : ', TLS'
  return `${workers}, ${jobs(config)}, ${auth}${tls}`
}

function jobs({ databaseUrl, durability, dataDir }: Config): string {
  if (databaseUrl === null) return 'jobs in memory'
  const where = databaseUrl === 'embedded' ? `a private PostgreSQL in ${dataDir}` : 'PostgreSQL'
  return durability === 'sync' ? `jobs in ${where}` : `jobs in ${where}, written behind (async)`
}

function nextSteps(config: Config, ports: DoorPorts): string[] {
  return [
    ...firstCommands(config, ports),
    '  The client for TypeScript and JavaScript is sdk/typescript (package flashq),',
    '  the protocols are proto/protocol.md, docs/http.md and docs/grpc.md, the settings are flashq-server --help.',
  ]
}

function firstCommands(config: Config, { tcp: port, http }: DoorPorts): string[] {
  const host = reachable(config.host)
  const isDefault = host === '127.0.0.1' && port === 6789
  const token = isOpen(config) ? '' : 'FLASHQ_TOKEN=YOUR-TOKEN '
  const scheme = config.tlsCert === null ? 'flashq' : 'flashqs'
  const where =
    isDefault && scheme === 'flashq' ? '' : `FLASHQ_URL=${scheme}://${hostPort(host, port)} `
  const commandLine = `  ${token}${where}npx flashq push mail '{"to":"ann"}'`
  // By hand, and by an example that knows nothing of tokens and certificates.
  if (scheme !== 'flashq' || token !== '') return [commandLine]
  const lines =
    '{"cmd":"PUSH","queue":"mail","data":{"to":"ann"}}\\n{"cmd":"PULL","queue":"mail"}\\n'
  const environment = isDefault ? '' : `FLASHQ_HOST=${host} FLASHQ_PORT=${port} `
  const page = http === null ? [] : [`  curl http://${hostPort(host, http)}/queues`]
  return [
    commandLine,
    ...page,
    `  printf '${lines}' | nc -w 1 ${host} ${port}`,
    `  ${environment}node examples/01-push-pull-ack.mjs`,
  ]
}

function isOpen({ authTokens, authFile }: Config): boolean {
  return authTokens.length === 0 && authFile === null
}

/** An address of this machine that a client on it can use. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
