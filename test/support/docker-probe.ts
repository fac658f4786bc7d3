// Whether a Docker engine answers: within a second, and without the noise that a client library makes when none does.

import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'

const ANSWER_MS_MAX = 1000

export async function dockerAnswers(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<boolean> {
  const host = env['DOCKER_HOST']
  if (host === undefined || host === '') {
    const answers = await Promise.all(usualSockets(env).filter(existsSync).map(pings))
    return answers.includes(true)
  }
  if (host.startsWith('unix://')) return pings(host.slice('unix://'.length))
  // It may want certificates; that it is there must do.
  return URL.canParse(host) && accepts(new URL(host))
}

/** Those that Testcontainers looks at. */
function usualSockets(env: Readonly<Record<string, string | undefined>>): string[] {
  const runtime = env['XDG_RUNTIME_DIR'] ?? `/run/user/${process.getuid?.()}`
  return [
    '/var/run/docker.sock',
    join(runtime, '.docker/run/docker.sock'),
    join(runtime, 'docker.sock'),
    join(homedir(), '.docker/run/docker.sock'),
    join(homedir(), '.docker/desktop/docker.sock'),
  ]
}

function pings(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = request({ socketPath, path: '/_ping', timeout: ANSWER_MS_MAX })
    ping.on('response', (response) => {
      resolve(response.statusCode === 200)
      ping.destroy()
    })
    ping.on('timeout', () => ping.destroy())
    ping.on('error', () => resolve(false))
    ping.on('close', () => resolve(false))
    ping.end()
  })
}

function accepts({ hostname, port }: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) || 2375 })
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy())
    socket.on('connect', () => {
      resolve(true)
      socket.destroy()
    })
    socket.on('error', () => resolve(false))
    socket.on('close', () => resolve(false))
  })
}
