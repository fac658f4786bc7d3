// One run of the command line: arguments in, exit code out. `main.ts` gives it the real world.

import { describeFault, FlashQError } from '../errors.ts'
import { FlashQ } from '../node-flashq.ts'
import type { ClientOptions } from '../options.ts'
import { parseArguments } from './arguments.ts'
import { COMMANDS } from './catalog.ts'
import type { CliContext } from './command.ts'
import { connectOptions } from './connect-options.ts'
import { EXIT, exitCodeOf, UsageError } from './exit-code.ts'
import { commandHelp } from './help.ts'
import type { Io } from './io.ts'
import { Output, usesColours } from './output.ts'
import { plain } from './plain-text.ts'

export async function runCli(args: readonly string[], io: Io): Promise<number> {
  const clients: FlashQ[] = []
  try {
    return await run(withSynonyms(args), io, clients)
  } catch (error) {
    if (io.signal.aborted) return EXIT.interrupted
    complain(io, error)
    return exitCodeOf(error)
  } finally {
    await Promise.all(clients.map((client) => client.close()))
  }
}

async function run(args: readonly string[], io: Io, clients: FlashQ[]): Promise<number> {
  const { command, words, flags } = parseArguments(args, COMMANDS, Date.now())
  if (flags.has('help')) {
    io.stdout.write(`${commandHelp(command)}\n`)
    return EXIT.ok
  }
  const ownClient = (options: ClientOptions = {}): FlashQ => {
    const client = new FlashQ({ ...connectOptions(flags, io), bigint: true, ...options })
    clients.push(client)
    return client
  }
  let shared: Promise<FlashQ> | null = null
  const context: CliContext = {
    io,
    commands: COMMANDS,
    words,
    flags,
    out: new Output(io, flags.has('json')),
    ownClient,
    client: () => {
      shared ??= connected(ownClient(), io.signal)
      return shared
    },
  }
  return command.run(context)
}

/** What people try first. */
function withSynonyms(args: readonly string[]): readonly string[] {
  const [first] = args
  if (first === undefined || ((first === '--help' || first === '-h') && args.length === 1))
    return ['help']
  return first === '--version' || first === '-V' ? ['version'] : args
}

async function connected(client: FlashQ, signal: AbortSignal): Promise<FlashQ> {
  const abort = (): void => void client.close({ timeoutMs: 0 })
  signal.addEventListener('abort', abort, { once: true })
  try {
    await client.connect()
  } finally {
    signal.removeEventListener('abort', abort)
  }
  return client
}

/** One line, with the code that programs can rely on. */
function complain(io: Io, error: unknown): void {
  const text = plain(describeFault(error))
  const code = error instanceof FlashQError ? ` (${error.code})` : ''
  const red = usesColours(io, io.stderr)
  const name = red ? '\u001b[31mflashq:\u001b[39m' : 'flashq:'
  io.stderr.write(`${name} ${text}${code}\n`)
  if (!(error instanceof UsageError)) return
  const about = error.command === null ? '' : ` ${error.command}`
  io.stderr.write(`Try: flashq help${about}\n`)
}
