// Reply lines of the engine → bodies of HTTP. The values are spliced, byte for byte, and never parsed: a number of twenty
// digits stays what it is.
//
//   {"ok":true,"jobs":[…]}                        valueBody    {"ok":true,"data":[…]}
//   {"ok":true,"ids":[1,2],"errors":[…]}          fieldsBody   {"ok":true,"data":{"ids":[1,2],"errors":[…]}}
//   {"ok":true,"ids":[3]}                         countBody    {"ok":true,"data":3}
//   {"ok":true,"job":{…},"state":"waiting"}       jobBody      {"ok":true,"data":{…}}
//                                                 flatJobBody  {"ok":true,"data":{…,"state":"waiting"}}
//
// A line begins with `{"ok":true`, and ends without its newline. A `reqId` that came in a body is skipped.

import { limits } from '../../engine/limits.ts'
import type { Refusal, RefusalCode } from '../../engine/refusal.ts'

/** A string has one character per byte: Node joins it with the head of the answer, and no buffer is made. */
export type Body = string | Buffer

const DATA = '{"ok":true,"data":'
const REQ_ID = Buffer.from('"reqId":')
const STATE = Buffer.from(',"state":"')
const CODE = Buffer.from(',"code":"')

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c
const LETTER_N = 0x6e
const LETTER_T = 0x74
/** Behind `{"ok":true,`. */
const FIRST_KEY = 11

export function isOk(line: Buffer): boolean {
  return line[6] === LETTER_T
}

/** Of a refusal. */
export function codeOf(line: Buffer): string {
  const at = line.lastIndexOf(CODE) + CODE.length
  return line.toString('latin1', at, line.length - 2)
}

/** The one value of the line; what is behind it stays beside the data. */
export function valueBody(line: Buffer): Body {
  return joined(DATA, line, firstValue(line), line.length, '')
}

/** All that the line says. */
export function fieldsBody(line: Buffer): Body {
  return joined(`${DATA}{`, line, firstKey(line), line.length, '}')
}

/** The number in a list of one. */
export function countBody(line: Buffer): Body {
  const from = firstValue(line) + 1
  return joined(DATA, line, from, line.indexOf(']', from), '}')
}

/** The number in a list of one, and the refusals of single items. */
export function countsBody(line: Buffer): Body {
  const from = firstValue(line) + 1
  const to = line.indexOf(']', from)
  const count = line.toString('latin1', from, to)
  return joined(`${DATA}{"count":${count}`, line, to + 1, line.length, '}')
}

/** The refusal of the only item, or null: it was done. No payload is in the line. */
export function onlyRefusal(line: Buffer): Refusal | null {
  if (line.indexOf('"errors":[') < 0) return null
  const { errors } = JSON.parse(line.toString()) as {
    errors: readonly [{ error: string; code: RefusalCode }]
  }
  return { code: errors[0].code, text: errors[0].error }
}

/** The job alone, which is there. */
export function jobBody(line: Buffer): Body {
  return joined(DATA, line, firstValue(line), line.lastIndexOf(STATE), '}')
}

/** The job with what is beside it; when it is gone, what is beside it. */
export function flatJobBody(line: Buffer): Body {
  const from = firstValue(line)
  const to = valueEnd(line, from)
  if (line[from] === LETTER_N) return joined(`${DATA}{`, line, to + 1, line.length, '}')
  const job = line.toString('latin1', from, to - 1)
  return joined(DATA + job, line, to, line.length, '}')
}

/** Progress and message as a pair. No payload is in it. */
export function progressBody(line: Buffer): Body {
  const { progress } = JSON.parse(line.toString()) as {
    progress: { progress: number; message: string | null }
  }
  const pair = JSON.stringify([progress.progress, progress.message])
  return Buffer.from(`${DATA}${pair}}`)
}

/** The value behind `"result":`, which is the second of the line. */
export function resultBody(line: Buffer): Body {
  const comma = valueEnd(line, firstValue(line))
  return joined(DATA, line, line.indexOf(COLON, comma) + 1, line.length, '')
}

/** Of a refusal: it is a body as it is. */
export function refusedBody(line: Buffer): Body {
  return joined('', line, 0, line.length, '')
}

function joined(head: string, line: Buffer, from: number, to: number, tail: string): Body {
  if (to - from <= limits.httpReplyBytesUnwatched)
    return head + line.toString('latin1', from, to) + tail
  return Buffer.concat([Buffer.from(head, 'latin1'), line.subarray(from, to), Buffer.from(tail)])
}

function firstKey(line: Buffer): number {
  if (line.compare(REQ_ID, 0, REQ_ID.length, FIRST_KEY, FIRST_KEY + REQ_ID.length) !== 0) {
    return FIRST_KEY
  }
  return valueEnd(line, FIRST_KEY + REQ_ID.length) + 1
}

function firstValue(line: Buffer): number {
  return line.indexOf(COLON, firstKey(line)) + 1
}

/** Behind the value that begins at `from`. The line is JSON: brackets outside of strings are pairs. */
function valueEnd(line: Buffer, from: number): number {
  let depth = 0
  for (let at = from; at < line.length; at++) {
    const byte = line[at] as number
    if (byte === QUOTE) at = stringEnd(line, at) - 1
    // `[` and `{` are 0x5b and 0x7b, `]` and `}` two more.
    else if (byte === 0x5b || byte === 0x7b) depth++
    else if (byte === 0x5d || byte === 0x7d) {
      if (depth === 0) return at
      depth--
    } else if (depth === 0 && byte === COMMA) return at
  }
  return line.length
}

function stringEnd(line: Buffer, quote: number): number {
  let at = line.indexOf(QUOTE, quote + 1)
  while (isEscaped(line, at)) at = line.indexOf(QUOTE, at + 1)
  return at + 1
}

/** An odd number of backslashes is before it. */
function isEscaped(line: Buffer, at: number): boolean {
  let before = at - 1
  while (line[before] === BACKSLASH) before--
  return (at - before) % 2 === 0
}
