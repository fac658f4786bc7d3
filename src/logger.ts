// The log: pino to stdout, one JSON object per line; readable lines when stdout is a terminal.
//
// 1. stdout carries the log and nothing else, so it can be piped to whatever reads JSON lines. What
//    is for people (the banner, errors of the configuration) goes to stderr.
// 2. Writing is synchronous and in this process: the last line before an exit is there, and no
//    thread has to be started or ended. So nothing is logged per job.
// 3. A field named like a secret is masked, at the top of a line's object and one level below.

import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { LogLevel } from './config.ts'

export type { Logger }

export interface LoggerOptions {
  readonly level: LogLevel
  /** In every line: `{ node, worker }`, or a part of it. The process id is always there. */
  readonly bindings?: Readonly<Record<string, string | number>>
  /** Readable lines instead of JSON. Default: whether stdout is a terminal. */
  readonly pretty?: boolean
  /** Default: stdout. */
  readonly destination?: DestinationStream
}

const SECRET_FIELDS = ['token', 'tokens', 'authTokens', 'secret', 'password', 'authorization']

export function createLogger(options: LoggerOptions): Logger {
  const { level, bindings = {}, pretty = process.stdout.isTTY === true } = options
  const destination = options.destination ?? pino.destination({ dest: 1, sync: true })
  return pino(
    {
      level,
      base: { pid: process.pid, ...bindings },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]),
        censor: '[secret]',
      },
    },
    pretty ? readable(destination) : destination,
  )
}

/** Made here rather than by pino-pretty's own stream, which would write later than it is told to. */
function readable(destination: DestinationStream): DestinationStream {
  const format = prettyFactory({
    colorize: !process.env['NO_COLOR'],
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid',
  })
  return { write: (line) => destination.write(format(line)) }
}
