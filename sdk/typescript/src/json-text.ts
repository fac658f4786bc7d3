// Pieces of a frame, written as text. Whatever a caller passes, what comes out is valid JSON: the server then refuses
// the one call, whereas a broken frame would cost the connection.

/** JSON that is sent as it stands: `push(queue, new JsonText('{"n":12345678901234567890}'))`. */
export class JsonText {
  readonly text: string

  /** Throws a SyntaxError when it is no JSON. A line break between its parts becomes a space: a frame is one line. */
  constructor(text: string) {
    JSON.parse(text)
    this.text = text.replace(/[\r\n]+/g, ' ')
  }
}

/** A value that JSON does not know (undefined, a function) is written as null. Throws on cycles and bigints. */
export function valueText(value: unknown): string {
  if (value instanceof JsonText) return value.text
  return JSON.stringify(value) ?? 'null'
}

export function numberText(value: unknown): string {
  return typeof value === 'number' && Number.isFinite(value) ? `${value}` : valueText(value)
}

export function numbersText(values: readonly unknown[]): string {
  let text = '['
  for (let index = 0; index < values.length; index += 1) {
    if (index > 0) text += ','
    text += numberText(values[index])
  }
  return `${text}]`
}

/** `,"key":value`, or nothing for undefined. */
export function optionalNumber(key: string, value: number | null | undefined): string {
  return value === undefined ? '' : `,"${key}":${numberText(value)}`
}

/** `,"key":value`, or nothing for undefined. */
export function optionalValue(key: string, value: unknown): string {
  return value === undefined ? '' : `,"${key}":${valueText(value)}`
}
