// The command line of the benches.

import { parseArgs } from 'node:util'
import type { Address } from './load/spec.ts'
import { longHeldMs, type Mode, modes } from './mode.ts'

export const usage = `node dist-bench/run.js [options]

  --quick              a short look (under two minutes) instead of the full run
  --tiny               a few milliseconds of each scenario without peers: proves that the benches work, measures nothing
  --only NAME,NAME     these scenarios; \`durable\` is all that begin with it
  --long               hold an old snapshot for 5 minutes (durable-snapshot)
  --list               the names of the scenarios
  --no-peers           none that needs packages from a registry
  --server PATH        the main.js of another build, in place of dist/main.js
  --target HOST:PORT   drive the server that already runs there, in place of starting the built one
  --target-pid PID     its process, for CPU and memory
  --results FOLDER     where to write the table and the raw figures (default bench/results; "none" writes nothing)`

export interface Options {
  mode: Mode
  only: string[] | undefined
  list: boolean
  help: boolean
  server: string | undefined
  target: Address | undefined
  targetPid: number | undefined
  results: string | undefined
}

export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean' },
      tiny: { type: 'boolean' },
      only: { type: 'string' },
      long: { type: 'boolean' },
      list: { type: 'boolean' },
      help: { type: 'boolean' },
      'no-peers': { type: 'boolean' },
      server: { type: 'string' },
      target: { type: 'string' },
      'target-pid': { type: 'string' },
      results: { type: 'string' },
    },
  })
  const mode = { ...modes[values.tiny ? 'tiny' : values.quick ? 'quick' : 'full'] }
  if (values['no-peers']) mode.peers = false
  if (values.long) mode.durable = { ...mode.durable, heldMs: longHeldMs }
  return {
    mode,
    only: values.only?.split(','),
    list: values.list ?? false,
    help: values.help ?? false,
    server: values.server,
    target: values.target === undefined ? undefined : parseAddress(values.target),
    targetPid: values['target-pid'] === undefined ? undefined : Number(values['target-pid']),
    results: values.results,
  }
}

function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(':')
  const port = Number(text.slice(colon + 1))
  if (colon < 1 || !Number.isInteger(port)) throw new Error(`--target: ${text} is not HOST:PORT`)
  return { host: text.slice(0, colon), port }
}

/** `cycle` is itself; `durable` is `durable-life`, `durable-single` and so on. */
export function isMeant(only: string, scenario: string): boolean {
  return scenario === only || scenario.startsWith(`${only}-`)
}
