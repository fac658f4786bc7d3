// A reply that holds a list, without some of the list's elements. What stays, stays as it is, byte for byte.
//
//   {"ok":true,"reqId":7,"crons":[{…},{…},{…}]}
//                                 └ kept    └ kept

import { limits } from '../../engine/limits.ts'
import { skipString, skipValue } from './json-scanner.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const CLOSE_ARRAY = 0x5d
/** The list, and what an element itself adds around a value of a client's. */
const DEPTH_MAX = limits.jsonDepthMax + 2

/** `line[0..to)` is compact JSON and a newline, as the server writes it; without such a list it stays as it is. */
export function filterList(
  line: Buffer,
  to: number,
  list: string,
  keeps: (element: Buffer) => boolean,
): Buffer {
  const start = startOf(line, to, list)
  if (start < 0) return Buffer.from(line.subarray(0, to))
  const kept: Buffer[] = []
  let i = start
  while (line[i] !== CLOSE_ARRAY) {
    const end = skipValue(line, i, to, DEPTH_MAX)
    const element = line.subarray(i, end)
    if (keeps(element)) kept.push(Buffer.from(kept.length === 0 ? '' : ','), element)
    i = line[end] === COMMA ? end + 1 : end
  }
  return Buffer.concat([line.subarray(0, start), ...kept, line.subarray(i, to)])
}

/** Behind the bracket that opens the list; -1 when the reply has none. */
function startOf(line: Buffer, to: number, list: string): number {
  let i = 1
  while (line[i] === QUOTE) {
    const keyEnd = skipString(line, i + 1)
    if (line.toString('latin1', i + 1, keyEnd - 1) === list) return keyEnd + 2
    i = skipValue(line, keyEnd + 1, to, DEPTH_MAX) + 1
  }
  return -1
}
