// What PostgreSQL writes to stderr, line by line: to our log when it is a warning or worse.
//
//   WARNING:  there is no transaction in progress
//   \tmore of the same message

/** What this room needs of the log; pino's logger is one. */
export interface EmbeddedLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

const KEPT_LINES = 20
const SEVERITY = /^(DEBUG|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC): {2}(.*)/

export class PostmasterLog {
  /** A clean stop ends every session with a FATAL message, and a start refuses sessions with one: no news then. */
  isQuiet = true
  private readonly log: EmbeddedLog
  private readonly kept: string[] = []
  private severity = 'LOG'

  constructor(log: EmbeddedLog) {
    this.log = log
  }

  /** The last lines, whatever their severity. */
  get tail(): string {
    return this.kept.join('\n')
  }

  clear(): void {
    this.kept.length = 0
  }

  /** Returns the text of a message of severity LOG, else ''. */
  line(text: string): string {
    this.kept.push(text)
    if (this.kept.length > KEPT_LINES) this.kept.shift()
    const [, severity = '', message = ''] = SEVERITY.exec(text) ?? []
    // A line without a severity goes with the one before it.
    if (severity !== '') this.severity = severity
    this.tell(`PostgreSQL: ${text}`)
    return severity === 'LOG' ? message : ''
  }

  private tell(text: string): void {
    switch (this.severity) {
      case 'PANIC':
        return this.log.error({}, text)
      case 'FATAL':
        return this.isQuiet ? undefined : this.log.warn({}, text)
      case 'ERROR':
      case 'WARNING':
        return this.log.warn({}, text)
    }
  }
}
