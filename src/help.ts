// The command line: the server takes no arguments besides --help, --version, `migrate` and `token`, which `main.ts` runs.

import { type Setting, settings } from './config.ts'
import { version } from './version.ts'

export interface Answer {
  readonly text: string
  readonly exitCode: 0 | 2
}

/** What to print and then exit with (0: to stdout, 2: to stderr), or null: start the server. */
export function answerArguments(args: readonly string[]): Answer | null {
  const first = args[0]
  if (first === undefined) return null
  if (args.length === 1 && (first === '--help' || first === '-h')) {
    return { text: helpText(), exitCode: 0 }
  }
  if (args.length === 1 && (first === '--version' || first === '-v')) {
    return { text: `${version}\n`, exitCode: 0 }
  }
  const given = JSON.stringify(args.join(' '))
  return { text: `flashq-server: does not understand ${given}. Try --help\n`, exitCode: 2 }
}

export function helpText(): string {
  const rows = Object.values(settings) as Setting<unknown>[]
  return `FlashQ ${version}, a job-queue server

Usage: flashq-server [--help | --version | migrate [--check | --sql] | token --name NAME …]

migrate brings the schema in DATABASE_URL up to date and exits; --check only looks (exit code 1: there is
something to do), --sql prints the statements. The server does the same by itself when it starts.

token makes a token and the entry for it in AUTH_FILE: --name NAME, --scopes LIST (default read,produce,consume),
--queues LIST (default every queue; names, or beginnings with a * behind them), --expires MOMENT.

Everything is set by environment variables. An empty one counts as not set; a value that is not
allowed stops the start. Ctrl-C or SIGTERM stops the server cleanly, a second one at once.

${rows.map(settingHelp).join('\n')}`
}

/** The default as people read it: `6789`, or what an empty default comes to. */
export function defaultOf(setting: Setting<unknown>): string {
  if (setting.defaultNote === '') return setting.default
  return setting.default === ''
    ? setting.defaultNote
    : `${setting.default} = ${setting.defaultNote}`
}

function settingHelp(setting: Setting<unknown>): string {
  return `${setting.name}
    ${setting.meaning}
    default: ${defaultOf(setting)}
    allowed: ${setting.allowed}
`
}
