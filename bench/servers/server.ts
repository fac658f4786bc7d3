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
  /** Undefined when its process is not known. */
  usage(): Usage | undefined
  stop(): Promise<void>
}

/** Bench code runs from `dist-bench/`, beside `dist/`. */
const builtServer = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const echoes = {
  bare: fileURLToPath(new URL('../echo/main.js', import.meta.url)),
  json: fileURLToPath(new URL('../echo/json-main.js', import.meta.url)),
}
const stats = '{"cmd":"STATS"}'

/** `workers` undefined leaves the product's default. */
export async function startFlashQ(
  workers: number | undefined,
  main = builtServer,
): Promise<Server> {
  if (!existsSync(main)) throw new Error(`${main} does not exist: run \`make build\` first`)
  const port = await freePort()
  const env = baseEnv({ HOST: '127.0.0.1', PORT: String(port), LOG_LEVEL: 'warn' })
  if (workers !== undefined) env['WORKERS'] = String(workers)
  const child = new Child('flashq', process.execPath, [main], env)
  return ready(child, port, stats)
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
  const at = { host: '127.0.0.1', port }
  // Nothing reads what servers print, and a full pipe would stop them.
  child.process.stdout?.resume()
  await untilAnswers(child, at, command)
  return { name: child.name, at, usage: () => usageOf(child.pid), stop: () => child.stop() }
}
