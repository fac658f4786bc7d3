// A message of protobuf becomes a frame of the wire.
//
//   In:   the bytes of a request, and what it is made of (`schema.ts`)
//   Out:  `{"cmd":OP,"queue":…, …}\n`, or why there is none
//   Next: caller.ts; the scanner reads it
//
// 1. The fields come in the order of the schema, whatever the order of the bytes, so the frame can be peeked at. Of a
//    field that comes twice the last one counts, as protobuf has it.
// 2. JSON that a client sent is copied as it is once it is known to be one value and nothing else: no payload can add
//    a field. Line breaks between its tokens become tabs.
// 3. What is 0 or empty is left out, unless the schema says otherwise. Numbers are written as they came, also those
//    beyond 2^53: the scanner refuses them.
// 4. No object per job. The frame lies in a buffer that the next one overwrites: `Gate.submit` reads or copies it.

import { isUtf8 } from 'node:buffer'
import { ByteWriter } from '../../engine/byte-writer.ts'
import { limits } from '../../engine/limits.ts'
import type { OpName } from '../../engine/op.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { failedAt, failedDeep, validateJson } from '../wire/json-scanner.ts'
import { ProtoReader, Wire } from './proto-reader.ts'
import { type Field, jobStates, type Message } from './schema.ts'

const NEWLINE = 0x0a
const TAB = 0x09
const COMMA = 0x2c
const CLOSE_ARRAY = 0x5d
const CLOSE_OBJECT = 0x7d

const FRAME_BYTES = 64 * 1024
/** A larger buffer is not worth keeping. */
const KEPT_BYTES_MAX = 1024 * 1024
const FIELDS_MAX = 32

/** What a command is about, as it may be asked for. */
export interface Asked {
  readonly queue?: string
  readonly ids?: readonly number[]
}

/** Where the fields of one message are. */
class Extents {
  readonly from = new Int32Array(FIELDS_MAX)
  /** -1: not there. Of a list: where its first element's tag is. */
  readonly to = new Int32Array(FIELDS_MAX)
}

const reader = new ProtoReader()
const outer = new Extents()
const inner = new Extents()
let out = new ByteWriter(FRAME_BYTES)
let problem: Refusal | null = null

/** Valid until the next call. */
export function requestFrame(op: OpName, schema: Message, bytes: Buffer): Buffer | Refusal {
  if (out.bytes.length > KEPT_BYTES_MAX) out = new ByteWriter(FRAME_BYTES)
  out.length = 0
  problem = null
  if (!locate(schema, outer, bytes, 0, bytes.length)) return malformed(schema)
  out.ascii('{"cmd":"')
  out.ascii(op)
  out.byte(0x22)
  writeFields(schema, outer, bytes, bytes.length, true)
  out.byte(CLOSE_OBJECT)
  out.byte(NEWLINE)
  if (reader.failed) return malformed(schema)
  return problem ?? out.bytes.subarray(0, out.length)
}

/** The queue or the jobs that a request names. Its frame was made before. */
export function askedFor(schema: Message, bytes: Buffer): Asked {
  locate(schema, outer, bytes, 0, bytes.length)
  const queue = schema.fields.find(({ key }) => key === 'queue')
  if (queue !== undefined) return { queue: textOf(queue, bytes) }
  const list = schema.fields.find(({ key }) => key === 'ids' || key === 'id')
  if (list === undefined) return {}
  const ids: number[] = []
  if (list.label === 'repeated') eachOf(list, outer, bytes, bytes.length, () => ids.push(number()))
  else if (isThere(list, outer)) {
    begin(bytes, outer.from[list.no] as number, bytes.length)
    ids.push(number())
  }
  return { ids }
}

/** The values of the plain fields of a message that is no frame; null = no such message. JSON is not looked into. */
export function readRequest(
  schema: Message,
  bytes: Buffer,
): Record<string, string | number | boolean | Buffer | string[]> | null {
  if (!locate(schema, outer, bytes, 0, bytes.length)) return null
  const values: Record<string, string | number | boolean | Buffer | string[]> = {}
  for (const field of schema.fields) {
    if (field.label === 'repeated') {
      const texts: string[] = []
      eachOf(field, outer, bytes, bytes.length, () => {
        const length = reader.length()
        texts.push(bytes.toString('utf8', reader.at, reader.at + length))
        reader.at += length
      })
      values[field.name] = texts
    } else if (field.label !== 'optional' || isThere(field, outer)) {
      values[field.name] = plainValue(field, bytes)
    }
  }
  return reader.failed ? null : values
}

function plainValue(field: Field, bytes: Buffer): string | number | boolean | Buffer {
  const isGiven = isThere(field, outer)
  const from = outer.from[field.no] as number
  if (field.type === 'string') return isGiven ? textOf(field, bytes) : ''
  if (field.type === 'json') {
    return isGiven ? bytes.subarray(from, outer.to[field.no] as number) : Buffer.alloc(0)
  }
  if (isGiven) begin(bytes, from, bytes.length)
  const value = isGiven ? number() : 0
  return field.type === 'bool' ? value !== 0 : value
}

/** Notes where the known fields are; the others are passed. False: this is no protobuf. */
function locate(
  schema: Message,
  extents: Extents,
  bytes: Buffer,
  from: number,
  to: number,
): boolean {
  const { byNo } = schema
  extents.to.fill(-1, 0, byNo.length)
  reader.begin(bytes, from, to)
  for (;;) {
    const tagAt = reader.at
    if (!reader.next()) return !reader.failed
    const { no, wire } = reader
    const field = no < byNo.length ? byNo[no] : undefined
    const fits = field !== undefined && suits(field, wire)
    if (fits && field.label === 'repeated') {
      if ((extents.to[no] as number) < 0) {
        extents.from[no] = tagAt
        extents.to[no] = tagAt
      }
      reader.pass()
    } else if (wire === Wire.bytes) {
      const length = reader.length()
      if (fits) {
        extents.from[no] = reader.at
        extents.to[no] = reader.at + length
      }
      reader.at += length
    } else {
      const valueAt = reader.at
      reader.pass()
      if (fits) {
        extents.from[no] = valueAt
        extents.to[no] = reader.at
      }
    }
  }
}

/** A field of another wire type is one that nobody knows. Lists of numbers come packed or one by one. */
function suits({ type, label }: Field, wire: number): boolean {
  const isText = type === 'string' || type === 'json' || typeof type === 'object'
  if (isText) return wire === Wire.bytes
  return wire === Wire.varint || (wire === Wire.bytes && label === 'repeated')
}

function isThere(field: Field, extents: Extents): boolean {
  return (extents.to[field.no] as number) >= 0
}

/** `,"key":value…` of all that is given; without the first comma unless it `follows` something. */
function writeFields(
  schema: Message,
  extents: Extents,
  bytes: Buffer,
  to: number,
  follows: boolean,
): void {
  let comma = follows
  for (const field of schema.fields) {
    const there = isThere(field, extents)
    if (!there && !field.always) continue
    const start = out.length
    if (comma) out.byte(COMMA)
    out.ascii(field.opening)
    if (field.label === 'repeated') writeList(field, extents, bytes, to)
    else if (writeValue(field, extents, bytes, there)) comma = true
    // Zero, which stands for nothing.
    else out.length = start
    if (field.label === 'repeated') comma = true
    if (problem !== null || reader.failed) return
  }
}

/** False: it is left out. */
function writeValue(field: Field, extents: Extents, bytes: Buffer, there: boolean): boolean {
  const from = there ? (extents.from[field.no] as number) : 0
  const to = there ? (extents.to[field.no] as number) : 0
  const isKept = field.always || field.label === 'optional'
  if (field.type === 'json' || field.type === 'string') {
    if (from === to && !isKept) return false
    if (from === to && field.nullable) out.ascii('null')
    else if (field.type === 'json') writeJson(field, bytes, from, to)
    else writeText(field, bytes, from, to)
  } else {
    begin(bytes, from, there ? bytes.length : 0)
    return writeNumber(field, isKept, there)
  }
  return true
}

function writeNumber(field: Field, isKept: boolean, there: boolean): boolean {
  if (field.type === 'uint64') {
    const value = there ? reader.uint64() : 0
    if (value === 0 && !isKept) return false
    if (typeof value === 'number') out.uint(value)
    else out.ascii(value.toString())
    return true
  }
  const low = there ? reader.low32() : 0
  if (low === 0 && !isKept) return false
  if (field.type === 'state') {
    const state = jobStates[low]
    if (state === undefined) problem ??= refusals.invalid(`field "${field.name}" is no JobState`)
    out.ascii(`"${state}"`)
  } else if (field.type === 'bool') out.ascii(low === 0 ? 'false' : 'true')
  else if (field.type === 'int32') out.int(low)
  else out.uint(low >>> 0)
  return true
}

function writeText(field: Field, bytes: Buffer, from: number, to: number): void {
  if (!isUtf8(bytes.subarray(from, to))) {
    problem ??= refusals.invalid(`field "${field.name}" is not valid UTF-8`)
  }
  out.utf8(JSON.stringify(bytes.toString('utf8', from, to)))
}

function writeJson(field: Field, bytes: Buffer, from: number, to: number): void {
  const at = out.length
  out.copy(bytes, from, to)
  // The sentinel of the scanner, overwritten by what follows.
  out.byte(NEWLINE)
  const end = out.length - 1
  const wrongAt = validateJson(out.bytes, at, end)
  if (wrongAt >= 0) {
    const isDeep = failedDeep() && failedAt() === wrongAt
    problem ??= wrongJson(field, to - from, wrongAt - at, isDeep)
  }
  for (let i = out.bytes.indexOf(NEWLINE, at); i < end; i = out.bytes.indexOf(NEWLINE, i)) {
    out.bytes[i] = TAB
  }
  out.length = end
}

function wrongJson(field: Field, length: number, at: number, isDeep: boolean): Refusal {
  if (isDeep) {
    return refusals.limitExceeded('nesting of a JSON value', limits.jsonDepthMax)
  }
  const detail = at >= length ? 'it ends too early' : `unexpected byte at position ${at}`
  return { code: 'invalid', text: `${field.complaint}: ${detail}` }
}

function writeList(field: Field, extents: Extents, bytes: Buffer, to: number): void {
  out.byte(0x5b)
  let count = 0
  if (isThere(field, extents)) {
    eachOf(field, extents, bytes, to, () => {
      if (count > 0) out.byte(COMMA)
      if (++count > limits.batchMax) {
        problem ??= refusals.limitExceeded(field.name, limits.batchMax)
        return
      }
      writeElement(field, bytes)
    })
  }
  out.byte(CLOSE_ARRAY)
}

/** What the reader stands at. */
function writeElement(field: Field, bytes: Buffer): void {
  const { type } = field
  if (type === 'uint64') {
    const value = reader.uint64()
    if (value === 0 && field.nullable) out.ascii('null')
    else out.ascii(value.toString())
    return
  }
  const length = reader.length()
  const from = reader.at
  const to = from + length
  if (reader.failed) return
  if (typeof type === 'object') {
    const rest = reader.to
    if (!locate(type, inner, bytes, from, to)) return
    out.byte(0x7b)
    writeFields(type, inner, bytes, to, false)
    out.byte(CLOSE_OBJECT)
    if (!reader.failed) begin(bytes, to, rest)
  } else {
    if (length === 0 && field.nullable) out.ascii('null')
    else if (type === 'json') writeJson(field, bytes, from, to)
    else writeText(field, bytes, from, to)
    reader.at = to
  }
}

/** Calls with the reader at each element of a list; `element` reads it to its end. */
function eachOf(
  field: Field,
  extents: Extents,
  bytes: Buffer,
  to: number,
  element: () => void,
): void {
  const isNumber = field.type === 'uint64'
  begin(bytes, extents.from[field.no] as number, to)
  if (!isThere(field, extents)) return
  while (problem === null && reader.next()) {
    if (reader.no !== field.no || !suits(field, reader.wire)) reader.pass()
    else if (isNumber && reader.wire === Wire.bytes) {
      const length = reader.length()
      const end = reader.at + length
      const rest = reader.to
      reader.to = end
      while (reader.at < end && problem === null && !reader.failed) element()
      reader.to = rest
    } else element()
  }
}

function begin(bytes: Buffer, from: number, to: number): void {
  reader.begin(bytes, from, to)
}

function number(): number {
  return Number(reader.uint64())
}

function textOf(field: Field, bytes: Buffer): string {
  if (!isThere(field, outer)) return ''
  return bytes.toString('utf8', outer.from[field.no], outer.to[field.no])
}

function malformed({ name }: Message): Refusal {
  return refusals.invalid(`the message is not a ${name}`)
}
