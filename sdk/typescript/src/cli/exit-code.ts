// What the shell learns of how a command ended.

import { FlashQError } from '../errors.ts'

export const EXIT = {
  ok: 0,
  /** The server refused it, or something else went wrong. */
  refused: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** The server could not be reached, or did not answer. */
  unreachable: 3,
  /** There is no such thing, or nothing to give. */
  nothing: 4,
  /** Ctrl-C, as shells count it: 128 + SIGINT. */
  interrupted: 130,
} as const

/** A mistake in the command line. */
export class UsageError extends Error {
  /** The command whose help is worth a look. */
  readonly command: string | null

  constructor(text: string, command: string | null = null) {
    super(text)
    this.command = command
  }
}

const UNREACHABLE: ReadonlySet<string> = new Set([
  'not_connected',
  'timeout',
  'connection_lost',
  'closed',
  'overloaded',
])
const NOTHING: ReadonlySet<string> = new Set([
  'job_not_found',
  'cron_not_found',
  'webhook_not_found',
])

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage
  if (!(error instanceof FlashQError)) return EXIT.refused
  if (UNREACHABLE.has(error.code)) return EXIT.unreachable
  if (NOTHING.has(error.code)) return EXIT.nothing
  return error.code === 'unsupported' ? EXIT.usage : EXIT.refused
}
