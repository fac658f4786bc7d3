// A reply line becomes a message of protobuf.
//
//   In:   the bytes of a line that `wire/reply-json.ts` wrote, and what the message is made of (`schema.ts`)
//   Out:  the message's bytes; or the refusal that the line is
//   Next: grpc-js sends it
//
// 1. The line is ours: compact JSON without mistakes. Its keys mostly come in the order of the schema, so the next one
//    is guessed before it is looked up.
// 2. JSON of clients is copied byte for byte.
// 3. No object per job. `null`, zero and empty are left out; an `optional` field is left out when it is null.
// 4. Of a list that makes the message longer than `bytesMax` the rest is left out, but never its first element:
//    `listed` says how many are in.

import { ByteWriter } from '../../engine/byte-writer.ts'
import { limits } from '../../engine/limits.ts'
import type { Refusal } from '../../engine/refusal.ts'
import { skipString, skipValue } from '../wire/json-scanner.ts'
import { decode, holdsEscape } from '../wire/json-string.ts'
import { Wire } from './proto-reader.ts'
import {
  beginNested,
  endNested,
  putBytes,
  putDouble,
  putInt,
  putTag,
  putText,
  putUint,
} from './proto-writer.ts'
import { type Field, jobStates, type Message } from './schema.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const ZERO = 0x30
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const LETTER_N = 0x6e
const LETTER_T = 0x74
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Where the lines that are refusals differ from the others: `{"ok":false`. */
const OK_AT = 6

const MESSAGE_BYTES = 64 * 1024
const KEPT_BYTES_MAX = 1024 * 1024

let out = new ByteWriter(MESSAGE_BYTES)
let longest = Number.POSITIVE_INFINITY
/** Elements of the last list of messages that was written. */
let listCount = 0

export const listed = (): number => listCount

export function isRefusalLine(line: Buffer): boolean {
  return line[OK_AT] !== LETTER_T
}

export function refusalOf(line: Buffer): Refusal {
  const { error, code } = JSON.parse(line.toString()) as {
    error: string
    code: Refusal['code']
  }
  return { code, text: error }
}

/** A line that is no refusal. */
export function replyMessage(
  schema: Message,
  line: Buffer,
  bytesMax = Number.POSITIVE_INFINITY,
): Buffer {
  begin(bytesMax)
  const at = schema.within === '' ? 0 : valueAt(line, schema.within)
  if (at >= 0 && line[at] === OPEN_OBJECT) writeMessage(schema, line, at)
  return out.toBuffer()
}

/** The objects of the list at `key`, a message each. */
export function listMessages(schema: Message, line: Buffer, key: string): Buffer[] {
  const messages: Buffer[] = []
  let at = valueAt(line, key)
  if (at < 0 || line[at + 1] === CLOSE_ARRAY) return messages
  do {
    begin(Number.POSITIVE_INFINITY)
    at = writeMessage(schema, line, at + 1)
    messages.push(out.toBuffer())
  } while (line[at] === COMMA)
  return messages
}

function begin(bytesMax: number): void {
  if (out.bytes.length > KEPT_BYTES_MAX) out = new ByteWriter(MESSAGE_BYTES)
  out.length = 0
  longest = bytesMax
  listCount = 0
}

/** Where the value of a key of the line begins; -1: it has none. */
function valueAt(line: Buffer, key: string): number {
  let at = 1
  for (;;) {
    const keyEnd = skipString(line, at + 1)
    const isIt = line.toString('latin1', at + 1, keyEnd - 1) === key
    if (isIt) return keyEnd + 1
    at = pass(line, keyEnd + 1)
    if (line[at] !== COMMA) return -1
    at++
  }
}

/** The fields of the object that begins at `start`. Returns its end. */
function writeMessage(schema: Message, line: Buffer, start: number): number {
  const { fields } = schema
  let next = 0
  let at = start + 1
  if (line[at] === CLOSE_OBJECT) return at + 1
  for (;;) {
    let i = next < fields.length && isAt(line, at, fields[next] as Field) ? next : -1
    if (i < 0) i = fields.findIndex((field) => isAt(line, at, field))
    if (i < 0) {
      at = pass(line, skipString(line, at + 1) + 1)
    } else {
      const field = fields[i] as Field
      at = writeField(field, line, at + field.opening.length)
      next = i + 1
    }
    if (line[at] !== COMMA) return at + 1
    at++
  }
}

function isAt(line: Buffer, at: number, { opening }: Field): boolean {
  for (let k = 1; k < opening.length; k++) {
    if (line[at + k] !== opening.charCodeAt(k)) return false
  }
  return true
}

/** Returns the end of the value. */
function writeField(field: Field, line: Buffer, at: number): number {
  if (line[at] === LETTER_N && field.type !== 'json') return at + 4
  if (field.label === 'repeated') return writeList(field, line, at)
  if (field.counted) return writeUint(field, line, at + 1) + 1
  const { type } = field
  if (typeof type === 'object') {
    const from = beginNested(out, field.no)
    const end = writeMessage(type, line, at)
    endNested(out, from)
    return end
  }
  switch (type) {
    case 'uint32':
    case 'uint64':
      return writeUint(field, line, at)
    case 'string':
      return writeString(field, line, at)
    case 'json':
      return writeJson(field, line, at)
    default:
      return writeRare(field, line, at)
  }
}

function writeRare(field: Field, line: Buffer, at: number): number {
  const end = pass(line, at)
  if (field.type === 'bool') {
    if (line[at] === LETTER_T) putNumber(field, 1)
  } else if (field.type === 'state') {
    const state = line.toString('latin1', at + 1, end - 1)
    putNumber(field, Math.max(0, jobStates.indexOf(state as (typeof jobStates)[number])))
  } else {
    const value = Number(line.toString('latin1', at, end))
    if (field.type === 'int32') putNumber(field, value)
    else if (value !== 0) {
      putTag(out, field.no, Wire.fixed64)
      putDouble(out, value)
    }
  }
  return end
}

function putNumber(field: Field, value: number): void {
  if (value === 0 && field.label !== 'optional') return
  putTag(out, field.no, Wire.varint)
  putInt(out, value)
}

function writeUint(field: Field, line: Buffer, at: number): number {
  const end = readUint(line, at)
  if (uint !== 0 || field.label === 'optional') {
    putTag(out, field.no, Wire.varint)
    putUint(out, uint)
  }
  return end
}

let uint = 0

/** Into `uint`. Returns the end. */
function readUint(line: Buffer, at: number): number {
  let value = 0
  let i = at
  for (;;) {
    const digit = (line[i] as number) - ZERO
    if (!(digit >= 0 && digit <= 9)) break
    value = value * 10 + digit
    i++
  }
  uint = value
  return i
}

function writeString(field: Field, line: Buffer, at: number): number {
  const end = skipString(line, at + 1)
  putString(field, line, at + 1, end - 1)
  return end
}

function putString(field: Field, line: Buffer, from: number, to: number): void {
  if (from === to && field.label === 'single') return
  if (holdsEscape(line, from, to)) putText(out, field.no, decode(line, from, to))
  else putBytes(out, field.no, line, from, to)
}

function writeJson(field: Field, line: Buffer, at: number): number {
  const end = pass(line, at)
  // A result that is null is none; data that are null are the JSON text `null`.
  if (field.label === 'optional' && line[at] === LETTER_N) return end
  putBytes(out, field.no, line, at, end)
  return end
}

function writeList(field: Field, line: Buffer, at: number): number {
  if (line[at + 1] === CLOSE_ARRAY) return at + 2
  if (typeof field.type === 'object') return writeMessages(field, field.type, line, at)
  return field.type === 'string' ? writeStrings(field, line, at) : writeUints(field, line, at)
}

function writeMessages(field: Field, schema: Message, line: Buffer, start: number): number {
  let at = start
  let count = 0
  do {
    const before = out.length
    const from = beginNested(out, field.no)
    at = writeMessage(schema, line, at + 1)
    endNested(out, from)
    if (out.length > longest && count > 0) {
      out.length = before
      listCount = count
      return pass(line, start)
    }
    count++
  } while (line[at] === COMMA)
  listCount = count
  return at + 1
}

function writeStrings(field: Field, line: Buffer, start: number): number {
  let at = start
  do {
    const end = skipString(line, at + 2)
    putString({ ...field, label: 'optional' }, line, at + 2, end - 1)
    at = end
  } while (line[at] === COMMA)
  return at + 1
}

/** Packed. */
function writeUints(field: Field, line: Buffer, start: number): number {
  const from = beginNested(out, field.no)
  let at = start
  do {
    at = readUint(line, at + 1)
    putUint(out, uint)
  } while (line[at] === COMMA)
  endNested(out, from)
  return at + 1
}

/** The end of a value. */
function pass(line: Buffer, at: number): number {
  const first = line[at]
  if (first === QUOTE) return skipString(line, at + 1)
  if (first !== OPEN_OBJECT && first !== OPEN_ARRAY && first !== MINUS) {
    // A number or a literal: what ends it is known.
    let i = at
    while (line[i] !== COMMA && line[i] !== CLOSE_OBJECT && line[i] !== CLOSE_ARRAY) i++
    return i
  }
  return skipValue(line, at, line.length, limits.jsonDepthMax + 2)
}
