// The small fields of a request (its query, or a body without payload): read as they are described.
//
// One table of fields gives both the schema of the OpenAPI document and the reading, so they can't disagree. What is not
// in the table is ignored, as unknown keys are on the wire; what is there twice, or of a wrong type, is refused.

import { type Refusal, refusals } from '../../engine/refusal.ts'

export interface FieldOf<T> {
  readonly schema: Readonly<Record<string, unknown>>
  /** Behind "must be". */
  readonly wanted: string
  /** Undefined: it is not that. */
  readonly read: (value: unknown) => T | undefined
}

export type Fields = Readonly<Record<string, FieldOf<unknown>>>

export type Values<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends FieldOf<infer T> ? T | undefined : never
}

interface UintRange {
  readonly description: string
  readonly min?: number
  readonly max?: number
  readonly default?: number
}

export function uint(range: UintRange): FieldOf<number> {
  const { description, min = 0, max = Number.MAX_SAFE_INTEGER } = range
  const shown = max === Number.MAX_SAFE_INTEGER ? '2^53 - 1' : String(max)
  return {
    schema: {
      type: 'integer',
      description,
      minimum: min,
      maximum: max,
      ...(range.default === undefined ? {} : { default: range.default }),
    },
    wanted: `an integer from ${min} to ${shown}`,
    read: (value) => {
      const number = typeof value === 'string' ? readUint(value) : value
      return Number.isSafeInteger(number) && (number as number) >= min && (number as number) <= max
        ? (number as number)
        : undefined
    },
  }
}

export function flag(description: string): FieldOf<boolean> {
  return {
    schema: { type: 'boolean', description },
    wanted: 'true or false',
    read: (value) => {
      if (value === 'true' || value === true) return true
      return value === 'false' || value === false ? false : undefined
    },
  }
}

/** How long it may be is for the command to say: as at every other door, and with the same code. */
export function text(description: string, lengthMax: number): FieldOf<string> {
  return {
    schema: { type: 'string', description, maxLength: lengthMax },
    wanted: 'a string',
    read: (value) => (typeof value === 'string' ? value : undefined),
  }
}

export function oneOf<const T extends string>(
  description: string,
  names: readonly T[],
): FieldOf<T> {
  return {
    schema: { type: 'string', description, enum: names },
    wanted: `one of ${names.join(', ')}`,
    read: (value) => names.find((name) => name === value),
  }
}

/** `from`: the query of a request as the router gives it. An empty value is as if absent. */
export function readQuery<F extends Fields>(fields: F, from: unknown): Values<F> | Refusal {
  const values: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    const given = (from as Record<string, unknown>)[name]
    if (given === undefined || given === '') continue
    if (Array.isArray(given)) return refusals.invalid(`query "${name}" is there twice`)
    const value = field.read(given)
    if (value === undefined) return refusals.invalid(`query "${name}" must be ${field.wanted}`)
    values[name] = value
  }
  return values as Values<F>
}

const EMPTY_OBJECT = Buffer.from('{}')

/** `body`: JSON text of an object, in which no payload is. Null is as if absent. */
export function readBody<F extends Fields>(
  fields: F,
  body: Buffer = EMPTY_OBJECT,
): Values<F> | Refusal {
  const object = parsedObject(body)
  if (object === null) return refusals.invalid('the body is not a JSON object')
  const values: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    const given = object[name]
    if (given === undefined || given === null) continue
    const value =
      typeof given === 'string' && field.schema['type'] !== 'string' ? undefined : field.read(given)
    if (value === undefined) return refusals.invalid(`field "${name}" must be ${field.wanted}`)
    values[name] = value
  }
  return values as Values<F>
}

/** A job's id in a path. */
export function readId(id: string): number | Refusal {
  return readUint(id) ?? refusals.invalid('a job id is an integer from 0 to 2^53 - 1')
}

export function isRefusal(value: object | number): value is Refusal {
  return typeof value === 'object' && 'code' in value && 'text' in value
}

/** For the OpenAPI document. */
export function schemaOf(fields: Fields): object {
  const properties = Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, field.schema]),
  )
  return { type: 'object', properties }
}

function readUint(digits: string): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(digits)) return undefined
  const number = Number(digits)
  return Number.isSafeInteger(number) ? number : undefined
}

function parsedObject(body: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (Object.assign(Object.create(null), value) as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
