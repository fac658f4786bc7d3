// Frames for commands that did not come as lines: fields that a door has read, and bytes that only the scanner reads.
//
//   In:   the path, query and body of an HTTP request; a message of gRPC
//   Out:  one frame with its newline, for `Gate.submit`
//   Next: scan.ts
//
// The payload stays as it came, but for line breaks between its values, which a line can't hold: they become tabs.
// (Within a string both are refused alike.)

import { limits } from '../../engine/limits.ts'
import type { OpName } from '../../engine/op.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { failedAt, failedDeep, validateJson } from './json-scanner.ts'

const NEWLINE = 0x0a
const RETURN = 0x0d
const TAB = 0x09
const SPACE = 0x20
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** A buffer is JSON text as it came (see `isJson`); undefined is left out. */
export type FrameField = string | number | boolean | null | undefined | Buffer | readonly unknown[]

export type SmallField = Exclude<FrameField, Buffer>

/** `{"cmd":OP,…fields}`. Buffers must be JSON. */
export function frameOf(op: OpName, fields: Readonly<Record<string, FrameField>>): Buffer {
  const pieces: Buffer[] = []
  let text = `{"cmd":"${op}"`
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    text += `,"${name}":`
    if (Buffer.isBuffer(value)) {
      pieces.push(Buffer.from(text), onOneLine(value))
      text = ''
    } else {
      text += JSON.stringify(value)
    }
  }
  pieces.push(Buffer.from(`${text}}\n`))
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
}

/**
 * The same with the fields of a JSON object behind them that nobody has looked at; the scanner does. The object is
 * `bytes[from..to)`. What is before `from`, and one byte behind `to`, may be written over: then the frame is made where
 * the object is, and is valid as long as that is.
 */
export function frameAround(
  op: OpName,
  fields: Readonly<Record<string, SmallField>>,
  bytes: Buffer,
  from = 0,
  to = bytes.length,
): Buffer | Refusal {
  let first = from
  let end = to
  while (first < end && isBlank(bytes[first] as number)) first++
  while (end > first && isBlank(bytes[end - 1] as number)) end--
  if (end - first < 2 || bytes[first] !== OPEN_OBJECT || bytes[end - 1] !== CLOSE_OBJECT) {
    return refusals.invalid('the body is not a JSON object')
  }
  first++
  while (isBlank(bytes[first] as number)) first++
  if (first === end - 1) return frameOf(op, fields)
  const head = headOf(op, fields)
  const size = Buffer.byteLength(head)
  if (from === 0 || size > first || end === bytes.length) {
    return withHead(head, size, bytes.subarray(first, end))
  }
  bytes.write(head, first - size)
  return closeLine(bytes.subarray(first - size, end + 1), size)
}

function withHead(head: string, size: number, rest: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(size + rest.length + 1)
  frame.write(head)
  rest.copy(frame, size)
  return closeLine(frame, size)
}

/** Line breaks from `from` on become tabs, and the last byte the only one. */
function closeLine(frame: Buffer, from: number): Buffer {
  const last = frame.length - 1
  frame[last] = NEWLINE
  let at = frame.indexOf(NEWLINE, from)
  while (at < last) {
    frame[at] = TAB
    at = frame.indexOf(NEWLINE, at)
  }
  return frame
}

/** All before the body's own fields, a comma included. */
function headOf(op: OpName, fields: Readonly<Record<string, SmallField>>): string {
  let head = `{"cmd":"${op}"`
  for (const name in fields) {
    const value = fields[name]
    if (value !== undefined) head += `,"${name}":${JSON.stringify(value)}`
  }
  return `${head},`
}

/** One JSON value of any kind, and nothing else. */
export function isJson(bytes: Buffer): boolean {
  return validateJson(bytes, 0, bytes.length) < 0
}

/** What is wrong with bytes that are to be one JSON value: the same as of a line. Null: nothing. */
export function refuseJson(bytes: Buffer): Refusal | null {
  const at = validateJson(bytes, 0, bytes.length)
  if (at < 0) return null
  return failedDeep() && failedAt() === at
    ? refusals.limitExceeded('nesting of a JSON value', limits.jsonDepthMax)
    : refusals.invalid('the body is not JSON')
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === NEWLINE || byte === RETURN || byte === TAB
}

function onOneLine(json: Buffer): Buffer {
  let at = json.indexOf(NEWLINE)
  if (at < 0) return json
  const line = Buffer.from(json)
  for (; at >= 0; at = line.indexOf(NEWLINE, at)) line[at] = TAB
  return line
}
