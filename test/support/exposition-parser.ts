// Reads Prometheus' text format (0.0.4) as strictly as a scraper does: what it does not understand it refuses.

export interface ParsedFamily {
  readonly type: string
  readonly help: string
  readonly samples: ParsedSample[]
}

export interface ParsedSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const HELP = new RegExp(`^# HELP (${NAME}) (.*)$`)
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`)
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? ([^ ]+)$`)
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/

export class Exposition {
  readonly families = new Map<string, ParsedFamily>()
  private readonly seen = new Set<string>()

  constructor(text: string) {
    if (!text.endsWith('\n')) throw new Error('the last line does not end')
    let help: RegExpExecArray | null = null
    for (const line of text.split('\n')) {
      if (line === '') continue
      const type = TYPE.exec(line)
      if (line.startsWith('# HELP')) help = must(HELP.exec(line), line)
      else if (type !== null) this.open(type, help)
      else this.add(must(SAMPLE.exec(line), line))
    }
  }

  /** The one sample with these labels, and no others. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    return this.samples(name).find((sample) => isSame(sample.labels, labels))?.value
  }

  samples(name: string): readonly ParsedSample[] {
    const all = [...this.families.values()].flatMap(({ samples }) => samples)
    return all.filter((sample) => sample.name === name)
  }

  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const matching = this.samples(name).filter((sample) =>
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )
    return matching.reduce((sum, { value }) => sum + value, 0)
  }

  private open([, name = '', type = '']: RegExpExecArray, help: RegExpExecArray | null): void {
    if (help?.[1] !== name) throw new Error(`${name} has no help before its type`)
    if (this.families.has(name)) throw new Error(`${name} is there twice`)
    this.families.set(name, { type, help: help[2] ?? '', samples: [] })
  }

  private add([line, name = '', labels = '', value = '']: RegExpExecArray): void {
    const key = `${name}{${labels}}`
    if (this.seen.has(key)) throw new Error(`there twice: ${line}`)
    this.seen.add(key)
    const last = [...this.families].at(-1)
    const isOfLast = last !== undefined && (last[0] === name || isOfHistogram(last, name))
    if (!isOfLast) throw new Error(`a sample without a family: ${line}`)
    last[1].samples.push({ name, labels: readLabels(labels, line), value: readValue(value) })
  }
}

function isOfHistogram([family, { type }]: [string, ParsedFamily], name: string): boolean {
  return type === 'histogram' && ['_bucket', '_sum', '_count'].some((end) => name === family + end)
}

function readLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== '') {
    const [all, name = '', value = ''] = must(LABEL.exec(rest), line)
    if (name in labels) throw new Error(`label ${name} twice: ${line}`)
    labels[name] = value.replace(/\\(["\\n])/g, (_, c: string) => (c === 'n' ? '\n' : c))
    rest = rest.slice(all.length)
  }
  return labels
}

function readValue(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  const value = Number(text)
  if (text === '' || (Number.isNaN(value) && text !== 'NaN')) throw new Error(`no value: ${text}`)
  return value
}

function must(match: RegExpExecArray | null, line: string): RegExpExecArray {
  if (match === null) throw new Error(`not in the text format: ${line}`)
  return match
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}
