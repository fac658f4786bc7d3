// One setting: the row of a table (`config.ts`), and what makes rows of common kinds.

/** What the defaults depend on. Injected, so that tests see one machine everywhere. */
export interface Machine {
  readonly parallelism: number
  /** What the process may use: the machine's memory or its cgroup's limit. */
  readonly memoryBytes: number
}

export interface Setting<T> {
  /** The environment variable. */
  readonly name: string
  /** As an operator would write it; '' = not set, and then `read('')` decides. */
  readonly default: string
  /** Says what an empty default comes to. */
  readonly defaultNote: string
  readonly allowed: string
  readonly meaning: string
  readonly secret: boolean
  /** Never undefined for the default; undefined = not an allowed value. */
  readonly read: (text: string, machine: Machine) => T | undefined
}

interface IntegerRow {
  readonly name: string
  readonly default: number | ''
  readonly defaultNote?: string
  /** The value when the text is the default, in the units of `Config`. */
  readonly atDefault?: (machine: Machine) => number
  readonly min: number
  readonly max: number
  /** What one of the operator's units is in those of `Config`. */
  readonly unit?: number
  readonly meaning: string
}

export function integer(row: IntegerRow): Setting<number> {
  const { name, meaning, atDefault, min, max, unit = 1 } = row
  const defaultText = String(row.default)
  return {
    name,
    default: defaultText,
    defaultNote: row.defaultNote ?? '',
    allowed: `an integer from ${min} to ${max}`,
    meaning,
    secret: false,
    read: (text, machine) => {
      if (atDefault !== undefined && text === defaultText) return atDefault(machine)
      const value = readInteger(text, min, max)
      return value === undefined ? undefined : value * unit
    },
  }
}

/** Off by default. */
export function onOff({ name, meaning }: { name: string; meaning: string }): Setting<boolean> {
  return {
    name,
    default: '0',
    defaultNote: 'off',
    allowed: '1, true, yes, on; 0, false, no, off',
    meaning,
    secret: false,
    read: (text) => {
      if (/^(?:1|true|yes|on)$/i.test(text)) return true
      return /^(?:0|false|no|off)$/i.test(text) ? false : undefined
    },
  }
}

export function readInteger(text: string, min: number, max: number): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text)) return undefined
  const value = Number(text)
  return value >= min && value <= max ? value : undefined
}

/** The path of a file; not set by default. */
export function file({ name, meaning }: { name: string; meaning: string }): Setting<string | null> {
  return {
    name,
    default: '',
    defaultNote: 'none',
    allowed: 'the path of a file',
    meaning,
    secret: false,
    read: (text) => (text === '' ? null : readPath(text)),
  }
}

export function readPath(text: string): string | undefined {
  return /\p{Cc}/u.test(text) ? undefined : text
}
