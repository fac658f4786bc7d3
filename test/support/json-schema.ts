// As much of JSON Schema as our OpenAPI document uses. What it does not know is an error, so that nothing passes unread.

type Schema = Readonly<Record<string, unknown>>

const NOTES = new Set(['description', 'default', 'examples', 'title'])

/** What is wrong with `value`, as paths and reasons; `resolve` finds what a `$ref` means. */
export function schemaErrors(
  schema: Schema,
  value: unknown,
  resolve: (ref: string) => Schema,
  at = '$',
): string[] {
  const errors: string[] = []
  const fail = (what: string): void => void errors.push(`${at} ${what}`)
  for (const [keyword, asked] of Object.entries(schema)) {
    switch (keyword) {
      case '$ref':
        errors.push(...schemaErrors(resolve(asked as string), value, resolve, at))
        break
      case 'type':
        if (![asked].flat().some((type) => hasType(value, type as string))) fail(`is no ${asked}`)
        break
      case 'enum':
        if (!(asked as unknown[]).includes(value)) fail(`is none of ${asked}`)
        break
      case 'const':
        if (value !== asked) fail(`is not ${asked}`)
        break
      case 'anyOf': {
        const tried = (asked as Schema[]).map((each) => schemaErrors(each, value, resolve, at))
        if (tried.every((each) => each.length > 0)) errors.push(...tried.flat())
        break
      }
      case 'required':
        for (const name of asked as string[]) if (!hasKey(value, name)) fail(`lacks ${name}`)
        break
      case 'properties':
        for (const [name, each] of Object.entries(asked as Record<string, Schema>)) {
          if (!hasKey(value, name)) continue
          const inner = (value as Record<string, unknown>)[name]
          errors.push(...schemaErrors(each, inner, resolve, `${at}.${name}`))
        }
        break
      case 'items':
        if (!Array.isArray(value)) break
        value.forEach((each, n) => {
          errors.push(...schemaErrors(asked as Schema, each, resolve, `${at}[${n}]`))
        })
        break
      case 'prefixItems':
        if (!Array.isArray(value)) break
        ;(asked as Schema[]).forEach((each, n) => {
          errors.push(...schemaErrors(each, value[n], resolve, `${at}[${n}]`))
        })
        break
      case 'minItems':
        if (Array.isArray(value) && value.length < (asked as number)) fail('is too short')
        break
      case 'maxItems':
        if (Array.isArray(value) && value.length > (asked as number)) fail('is too long')
        break
      case 'maxLength':
        if (typeof value === 'string' && value.length > (asked as number)) fail('is too long')
        break
      case 'minimum':
        if (typeof value === 'number' && value < (asked as number)) fail(`is below ${asked}`)
        break
      case 'maximum':
        if (typeof value === 'number' && value > (asked as number)) fail(`is above ${asked}`)
        break
      default:
        if (!NOTES.has(keyword)) fail(`asks for the unknown keyword ${keyword}`)
    }
  }
  return errors
}

function hasType(value: unknown, type: string): boolean {
  switch (type) {
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    default:
      return typeof value === type
  }
}

function hasKey(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
}
