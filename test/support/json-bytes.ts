// Bytes that are JSON, that almost are, and that are nothing at all; and what JSON.parse says of them.

import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'

/** Pieces that JSON is made of, and pieces that it almost is made of. */
const fragment = fc.constantFrom(
  ...'{}[]",:\\0123456789-+.eEtfnu/ \t\r\u0000\u0001\u001f\u007f',
  ...[
    'true',
    'false',
    'null',
    'nul',
    'NaN',
    'Infinity',
    '-0',
    '0.',
    '.5',
    '1e5',
    '1E+',
    '01',
    '1e400',
    '\\u00',
    '\\ud800',
  ],
  ...[
    '\\u0041',
    '\\n',
    '\\x',
    '"a"',
    '"a":1',
    '""',
    '[]',
    '{}',
    '//',
    '/**/',
    "'a'",
    '{"',
    '",',
    '\u2028',
    'é',
    '\u{1f600}',
  ],
)

const rawFragment = fc.oneof(
  { weight: 8, arbitrary: fragment.map((text) => Buffer.from(text)) },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('ff', 'c0af', 'eda080', 'f4908080', 'efbbbf', 'c3', '80')
      .map((hex) => Buffer.from(hex, 'hex')),
  },
)

export interface Edit {
  readonly kind: 'replace' | 'insert' | 'delete' | 'cut' | 'flip'
  readonly at: number
  readonly with: Buffer
}

export const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom('replace', 'insert', 'delete', 'cut', 'flip'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  with: rawFragment,
})

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '"', '\\', '\u0000', '\ud800', '__proto__'),
)
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      text,
      fc.double({ noDefaultInfinity: true, noNaN: true }),
      fc.constantFrom(true, false, null),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(text, tie('tree'), { maxKeys: 4 }),
    ),
  })).tree,
)
const indent = fc.constantFrom<(string | undefined)[]>(
  undefined,
  undefined,
  undefined,
  ' ',
  '\t',
  '\r\n ',
)
export const json = fc
  .tuple(value, indent)
  .map(([it, space]) => Buffer.from(JSON.stringify(it, null, space)))

const soup = fc.array(rawFragment, { maxLength: 12 }).map((pieces) => Buffer.concat(pieces))
const mutatedJson = fc
  .tuple(json, fc.array(edit, { maxLength: 3 }))
  .map(([bytes, edits]) => edits.reduce(applyEdit, bytes))
export const anyBytes = fc.oneof(json, mutatedJson, soup)

export function applyEdit(bytes: Buffer, { kind, at, with: piece }: Edit): Buffer {
  const index = Math.min(Math.floor(at * bytes.length), Math.max(bytes.length - 1, 0))
  const before = bytes.subarray(0, index)
  switch (kind) {
    case 'replace':
      return Buffer.concat([before, piece, bytes.subarray(index + piece.length)])
    case 'insert':
      return Buffer.concat([before, piece, bytes.subarray(index)])
    case 'delete':
      return Buffer.concat([before, bytes.subarray(index + 1)])
    case 'cut':
      return Buffer.from(before)
    case 'flip': {
      const copy = Buffer.from(bytes)
      if (copy.length > 0) copy[index] = (copy[index] as number) ^ (1 << ((piece[0] as number) & 7))
      return copy
    }
  }
}

export function isJson(bytes: Buffer): boolean {
  if (!isUtf8(bytes)) return false
  try {
    JSON.parse(bytes.toString())
    return true
  } catch {
    return false
  }
}

export function isJsonObject(bytes: Buffer): boolean {
  if (!isJson(bytes)) return false
  const it: unknown = JSON.parse(bytes.toString())
  return typeof it === 'object' && it !== null && !Array.isArray(it)
}

/** The deepest nesting in valid JSON, members that a later one of the same name replaces included. */
export function depthOf(bytes: Buffer): number {
  let depth = 0
  let deepest = 0
  for (const c of bytes.toString().replace(/"(?:[^"\\]|\\.)*"/g, '')) {
    if (c === '{' || c === '[') deepest = Math.max(deepest, ++depth)
    if (c === '}' || c === ']') depth--
  }
  return deepest
}

export function nested(kinds: readonly boolean[]): Buffer {
  const open = kinds.map((isArray) => (isArray ? '[' : '{"a":'))
  const close = kinds.map((isArray) => (isArray ? ']' : '}')).reverse()
  return Buffer.from(`${open.join('')}1${close.join('')}`)
}

export function trimmed(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ''), 'latin1')
}
