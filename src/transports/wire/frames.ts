// Frames for commands that did not come as lines: fields that a door has read, and bytes that only the scanner reads.
//
//   In:   the path, query and body of an HTTP request; a message of gRPC
//   Out:  one frame with its newline, for `Gate.submit`
//   Next: scan.ts
//
// The payload stays as it came, but for line breaks between its values, which a line can't hold: they become tabs.
// (Within a string both are refused alike.)

import type { OpName } from '../../engine/op.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { validateJson } from './json-scanner.ts'

const NEWLINE = 0x0a
const RETURN = 0x0d
const TAB = 0x09
const SPACE = 0x20
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** A buffer is JSON text as it came (see `isJson`); undefined is left out. */
export type FrameField = string | number | boolean | null | undefined | Buffer | readonly unknown[]

type SmallField = Exclude<FrameField, Buffer>

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

/** The same with the fields of a JSON object before them that nobody has looked at; the scanner does. */
export function frameAround(
  op: OpName,
  fields: Readonly<Record<string, SmallField>>,
  body: Buffer,
): Buffer | Refusal {
  let from = 0
  let to = body.length
  while (from < to && isBlank(body[from] as number)) from++
  while (to > from && isBlank(body[to - 1] as number)) to--
  if (to - from < 2 || body[from] !== OPEN_OBJECT || body[to - 1] !== CLOSE_OBJECT) {
    return refusals.invalid('the body is not a JSON object')
  }
  let first = from + 1
  while (isBlank(body[first] as number)) first++
  if (first === to - 1) return frameOf(op, fields)
  const head = headOf(op, fields)
  const headBytes = Buffer.byteLength(head)
  const end = headBytes + to - first
  const frame = Buffer.allocUnsafe(end + 1)
  frame.write(head)
  body.copy(frame, headBytes, first, to)
  for (let at = frame.indexOf(NEWLINE, headBytes); at >= 0 && at < end; ) {
    frame[at] = TAB
    at = frame.indexOf(NEWLINE, at)
  }
  frame[end] = NEWLINE
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
