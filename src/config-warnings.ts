// What a configuration allows and nobody is likely to mean.

import type { Config, Environment } from './config.ts'

/** One sentence each, no secrets. */
export function configWarnings(config: Config, env: Environment): string[] {
  const warnings: string[] = []
  const isOpen = config.authTokens.length === 0 && config.authFile === null
  if (!isLoopback(config.host)) {
    if (isOpen && config.tlsCa === null) {
      warnings.push(
        `HOST is ${config.host} and neither AUTH_TOKENS nor AUTH_FILE is set: whoever reaches this port may use the server`,
      )
    }
    if (!isOpen && config.tlsCert === null) {
      warnings.push(
        `HOST is ${config.host} and TLS_CERT is not set: tokens and jobs cross the network in plain text`,
      )
    }
  }
  if (env['DURABILITY'] && config.databaseUrl === null) {
    warnings.push(
      `DURABILITY is ${config.durability} and DATABASE_URL is not set: jobs are in memory alone`,
    )
  }
  if (env['CLUSTER_MODE']) {
    warnings.push('CLUSTER_MODE is set, but this version has no such feature: ignored')
  }
  return warnings
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
