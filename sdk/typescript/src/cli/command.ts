// What a command of the command line is.

import type { FlashQ } from '../node-flashq.ts'
import type { ClientOptions } from '../options.ts'
import type { Flag, Flags } from './flag.ts'
import type { Io } from './io.ts'
import type { Output } from './output.ts'

export interface CliContext {
  readonly io: Io
  /** All there are. */
  readonly commands: readonly CliCommand[]
  readonly words: readonly string[]
  readonly flags: Flags
  readonly out: Output
  /** Connected; closed when the command has ended. */
  client(): Promise<FlashQ>
  /** Not connected yet, and with options of the command's own; closed likewise. */
  ownClient(options?: ClientOptions): FlashQ
}

export interface CliCommand {
  /** One word, or two: `dlq list`. */
  readonly name: string
  /** `<needed>`, `[optional]`, `<more>...`. */
  readonly words: readonly string[]
  readonly about: string
  /** More about it, in whole sentences. */
  readonly detail?: string
  readonly flags: readonly Flag[]
  /** What --json prints. */
  readonly json?: string
  /** The exit code. */
  run(context: CliContext): Promise<number>
}

export const COMMON_FLAGS: readonly Flag[] = [
  {
    name: 'url',
    short: 'u',
    kind: 'text',
    value: 'URL',
    about: 'the server; default FLASHQ_URL, or flashq://localhost:6789',
  },
  { name: 'token', kind: 'text', value: 'TOKEN', about: 'default FLASHQ_TOKEN' },
  {
    name: 'ca',
    kind: 'text',
    value: 'FILE',
    about: 'of flashqs://: who issued its certificate, in PEM; default FLASHQ_CA',
  },
  {
    name: 'cert',
    kind: 'text',
    value: 'FILE',
    about: 'your own certificate, for a server that wants to see one; default FLASHQ_CERT',
  },
  { name: 'key', kind: 'text', value: 'FILE', about: 'its key; default FLASHQ_KEY' },
  {
    name: 'timeout',
    kind: 'duration',
    value: 'TIME',
    about: 'how long to wait for the server; default 5s',
  },
  { name: 'json', kind: 'switch', about: 'for programs: JSON on stdout, nothing else' },
  { name: 'help', short: 'h', kind: 'switch', about: 'what this command does' },
]
