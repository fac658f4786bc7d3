// The node itself: how it is set, and its end. Whether it is well: metrics/health-routes.ts.

import { sendData } from '../answers.ts'
import type { HttpDeps, RoutePlugin } from '../http-deps.ts'
import { describeRoute, listOf, ref } from '../schemas.ts'

/** A page that knows no node by an id calls the only one so. */
const STANDALONE = 'standalone'

export const nodeRoutes: RoutePlugin = (app, deps) => {
  const { clock, config, node } = deps

  app.get(
    '/cluster/nodes',
    {
      config: { access: 'read' },
      schema: describeRoute({ tag: 'server', summary: 'The nodes', data: listOf(ref('Node')) }),
    },
    (_request, reply) =>
      sendData(reply, [
        {
          node_id: node.id ?? STANDALONE,
          host: config.host,
          port: node.ports.http,
          is_leader: node.leads(),
          last_heartbeat: clock.nowMs(),
          started_at: node.startedAtMs,
        },
      ]),
  )

  app.get(
    '/settings',
    {
      config: { access: 'read' },
      schema: describeRoute({ tag: 'server', summary: 'How it is set', data: ref('Settings') }),
    },
    (_request, reply) =>
      sendData(reply, {
        version: node.version,
        tcp_port: node.ports.tcp,
        http_port: node.ports.http,
        database_connected: isConnected(deps),
        database_url: config.databaseUrl === null ? null : withoutPassword(config.databaseUrl),
        auth_enabled: deps.auth.required,
        auth_token_count: config.authTokens.length,
        uptime_seconds: Math.floor((clock.nowMs() - node.startedAtMs) / 1000),
      }),
  )

  const end = (how: 'shutdown' | 'restart', text: string, summary: string): void => {
    app.post(
      `/server/${how}`,
      {
        config: { access: 'admin' },
        schema: describeRoute({ tag: 'server', summary, data: { const: text } }),
      },
      (_request, reply) => {
        // Behind the answer, which is then in flight, and is written out before the end.
        setImmediate(() => node.stop(how))
        return sendData(reply, text)
      },
    )
  }
  end('shutdown', 'Server shutting down...', 'Answer what is in flight, and exit with 0')
  end('restart', 'Server restarting...', 'The same, and exit with 100: start me again')
}

function isConnected({ config, node }: HttpDeps): boolean {
  return config.databaseUrl !== null && node.leads()
}

/** A URL of PostgreSQL may have its password in two places. */
function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return url.replace(/:\/\/.*$/s, '://****')
  const parsed = new URL(url)
  if (parsed.password !== '') parsed.password = '****'
  for (const name of ['password', 'sslpassword']) {
    if (parsed.searchParams.has(name)) parsed.searchParams.set(name, '****')
  }
  return parsed.href
}
