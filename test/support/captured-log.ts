// A log that a test reads.

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: object
  readonly text: string
}

export class CapturedLog {
  readonly lines: LogLine[] = []

  debug(fields: object, text: string): void {
    this.lines.push({ level: 'debug', fields, text })
  }

  info(fields: object, text: string): void {
    this.lines.push({ level: 'info', fields, text })
  }

  warn(fields: object, text: string): void {
    this.lines.push({ level: 'warn', fields, text })
  }

  error(fields: object, text: string): void {
    this.lines.push({ level: 'error', fields, text })
  }

  texts(level: LogLine['level']): string[] {
    return this.lines.filter((line) => line.level === level).map((line) => line.text)
  }
}
