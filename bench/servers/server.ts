// The servers that the same load is driven against: the product as it is built, the echo ceiling, or one that already runs.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Address } from '../load/spec.ts'
import { baseEnv, Child } from './child.ts'
import { freePort, untilAnswers } from './ready.ts'
import { type Usage, usageOf } from './usage.ts'

export interface Server {
  name: string
  at: Address
  /** Of the process that was started. */
  pid?: number
  /** Undefined when its process is not known. */
  usage(): Usage | undefined
  stop(): Promise<void>
  /** Ends it and its workers with SIGKILL. */
  kill?(): void
}

/** Bench code runs from `dist-bench/`, beside `dist/`. */
const builtServer = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const echoes = {
  bare: fileURLToPath(new URL('../echo/main.js', import.meta.url)),
  json: fileURLToPath(new URL('../echo/json-main.js', import.meta.url)),
  http: fileURLToPath(new URL('../echo/http-main.js', import.meta.url)),
}
const stats = '{"cmd":"STATS"}'

export interface FlashQOptions {
  /** Undefined leaves the product's default. */
  workers?: number
  /** Settings, by the names of their environment variables. */
  settings?: Record<string, string>
  /** The Node to run it on, in place of this one. */
  node?: string
  /** Do not wait until it answers. */
  atOnce?: boolean
}

export async function startFlashQ(
  { workers, settings, node = process.execPath, atOnce = false }: FlashQOptions,
  main = builtServer,
): Promise<Server> {
  if (!existsSync(main)) throw new Error(`${main} does not exist: run \`make build\` first`)
  const port = await freePort()
  const env = baseEnv({ HOST: '127.0.0.1', PORT: String(port), LOG_LEVEL: 'warn', ...settings })
  if (workers !== undefined) env['WORKERS'] = String(workers)
  const child = new Child('flashq', node, [main], env)
  return atOnce ? started(child, port) : ready(child, port, stats)
}

export type EchoKind = keyof typeof echoes

export async function startEcho(kind: EchoKind, batch: number, dataBytes: number): Promise<Server> {
  const port = await freePort()
  const child = new Child('echo', process.execPath, [
    echoes[kind],
    String(port),
    String(batch),
    String(dataBytes),
  ])
  return ready(child, port, stats)
}

/** Nothing is started and nothing stopped; CPU and memory are known when `pid` is. */
export function foreignServer(at: Address, pid: number | undefined): Server {
  return {
    name: `${at.host}:${at.port}`,
    at,
    usage: () => (pid === undefined ? undefined : usageOf(pid)),
    stop: async () => {},
  }
}

/** Waits until `command` is answered on `port`. */
export async function ready(child: Child, port: number, command: string): Promise<Server> {
  const server = started(child, port)
  await untilAnswers(child, server.at, command)
  return server
}

function started(child: Child, port: number): Server {
  // Nothing reads what servers print, and a full pipe would stop them.
  child.process.stdout?.resume()
  return {
    name: child.name,
    at: { host: '127.0.0.1', port },
    pid: child.pid,
    usage: () => usageOf(child.pid),
    stop: () => child.stop(),
    kill: () => child.kill(),
  }
}
