// What is and what is not a frame, before any field is looked at. Numbers in titles: design/reliability.md, D.5.

import { describe, expect, it } from 'vitest'
import { Command } from '../../../../src/engine/command.ts'
import { IntColumn } from '../../../../src/engine/job-table.ts'
import { limits } from '../../../../src/engine/limits.ts'
import { Op } from '../../../../src/engine/op.ts'
import type { Refusal } from '../../../../src/engine/refusal.ts'
import { validateJson } from '../../../../src/transports/wire/json-scanner.ts'
import { scanFrame } from '../../../../src/transports/wire/scan.ts'

const command = new Command()

function scan(frame: string | Buffer): Refusal | null {
  const line = Buffer.concat([Buffer.from(frame), Buffer.from('\n')])
  return scanFrame(line, 0, line.length - 1, command)
}

function push(data: string | Buffer): Refusal | null {
  const head = Buffer.from('{"cmd":"PUSH","queue":"q","data":')
  return scan(Buffer.concat([head, Buffer.from(data), Buffer.from('}')]))
}

function pushed(): string {
  const { bytes, jobs } = command
  return bytes.toString('utf8', jobs.ints[IntColumn.dataFrom], jobs.ints[IntColumn.dataTo])
}

describe('framing', () => {
  it.each([
    ['1 an empty line', '', 'empty line'],
    ['2 only a return (which the framer strips)', '\r', 'empty line'],
    ['3 NUL bytes', '\0\0', 'unexpected byte 0 at position 0'],
    ['3 a NUL between tokens', '{"cmd":\0"STATS"}', 'unexpected byte 0 at position 7'],
    ['3 a NUL in a string', '{"cmd":"STA\0TS"}', 'unexpected byte 0 at position 11'],
    ['6 a byte order mark', '\ufeff{"cmd":"STATS"}', 'unexpected byte 239 at position 0'],
    ['10 half a frame', '{"cmd":"STA', 'JSON ends too early, at position 11'],
    ['10 half a frame, between tokens', '{"cmd":', 'JSON ends too early, at position 7'],
    ['14 an HTTP request', 'GET /queues HTTP/1.1', "unexpected 'G' at position 0"],
    ['15 a TLS hello', '\x16\x03\x01\x02\x00\x01', 'unexpected byte 22 at position 0'],
    ['16 two values', '{"cmd":"STATS"}{"cmd":"STATS"}', "unexpected '{' at position 15"],
    ['16 two values, apart', '{"cmd":"STATS"} 1', "unexpected '1' at position 16"],
    ['17 a return in a string', '{"cmd":"STA\rTS"}', 'unexpected byte 13 at position 11'],
  ])('%s', (_, frame, detail) => {
    const refusal = scan(frame)
    expect(refusal?.code).toBe('invalid')
    expect(refusal?.text).toMatch(/^Invalid: /)
    expect(refusal?.text).toContain(detail)
    expect(scan('{"cmd":"STATS"}')).toBe(null)
  })

  it.each([
    ['4 bytes that are no UTF-8', 'fffe'],
    ['5 an overlong form', 'c0af'],
    ['a surrogate in UTF-8', 'eda080'],
    ['beyond U+10FFFF', 'f4908080'],
    ['half a character', 'c3'],
  ])('refuses %s, in a string and alone', (_, hex) => {
    const bytes = Buffer.from(hex, 'hex')
    const quote = Buffer.from('"')
    for (const data of [bytes, Buffer.concat([quote, bytes, quote])]) {
      expect(push(data)).toEqual({ code: 'invalid', text: 'Invalid: not valid UTF-8' })
    }
    expect(scan(bytes)?.text).toBe('Invalid: not valid UTF-8')
  })

  it('18 takes U+2028, U+2029 and other text as it is', () => {
    const data = '"\u2028\u2029 ćao 東京 \u{1f600} \u007f"'
    expect(push(data)).toBe(null)
    expect(pushed()).toBe(data)
  })

  it('takes blanks around everything, as a body of HTTP has them', () => {
    const frame = JSON.stringify(
      { cmd: 'PUSH', queue: 'q', data: { a: [1, {}, []] } },
      null,
      '\r\n\t ',
    )
    expect(scan(`\r\n ${frame} \t\r\n`)).toBe(null)
    expect(JSON.parse(pushed())).toEqual({ a: [1, {}, []] })
  })

  it('takes a frame that has no newline behind it', () => {
    const bytes = Buffer.from('x{"cmd":"PUSH","queue":"q","data":[1]}')
    expect(scanFrame(bytes, 1, bytes.length, command)).toBe(null)
    expect(pushed()).toBe('[1]')
    expect(scanFrame(bytes, 1, bytes.length - 1, command)?.text).toContain('ends too early')
    expect(scanFrame(Buffer.from('{"cmd":"STATS"}}'), 0, 15, command)).toBe(null)
  })
})

describe('JSON', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  const tooDeep = {
    code: 'limit_exceeded',
    text: 'Limit exceeded: nesting of a JSON value (max 64)',
  }

  it('19 takes a value 64 deep, and refuses 65, 5,000 and 1,000,000', () => {
    expect(push(nested(64))).toBe(null)
    expect(pushed()).toBe(nested(64))
    for (const depth of [65, 5000, 1_000_000]) expect(push(nested(depth))).toEqual(tooDeep)
    expect(push('{"a":'.repeat(1000))).toEqual(tooDeep)
  })

  it('19 counts each value of the client for itself', () => {
    const jobs = (depth: number): string => `[{"data":1},{"data":${nested(depth)}}]`
    expect(scan(`{"cmd":"PUSHB","queue":"q","jobs":${jobs(64)}}`)).toBe(null)
    expect(scan(`{"jobs":${jobs(64)},"cmd":"PUSHB","queue":"q"}`)).toBe(null)
    expect(scan(`{"cmd":"PUSHB","queue":"q","jobs":${jobs(65)}}`)).toEqual(tooDeep)
    expect(scan(`{"jobs":${jobs(65)},"cmd":"PUSHB","queue":"q"}`)).toEqual(tooDeep)
    for (const [depth, refusal] of [
      [64, null],
      [65, tooDeep],
    ] as const) {
      expect(scan(`{"cmd":"ACK","id":1,"result":${nested(depth)}}`)).toEqual(refusal)
      expect(scan(`{"cmd":"ACKB","ids":[1],"results":[${nested(depth)}]}`)).toEqual(refusal)
      expect(scan(`{"cmd":"STATS","unknown":${nested(depth)}}`)).toEqual(refusal)
    }
  })

  it('20, 30 takes 100,001 nodes, and 60,000 distinct keys', () => {
    expect(push(JSON.stringify(Array.from({ length: 100_001 }, (_, n) => n)))).toBe(null)
    const keys = Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => [`key-${n}`, n]))
    expect(push(JSON.stringify(keys))).toBe(null)
  })

  it('21 refuses a field of the command that comes twice, however its key is written', () => {
    const duplicate = (name: string): Refusal => ({
      code: 'invalid',
      text: `Invalid: duplicate field "${name}"`,
    })
    expect(scan('{"cmd":"STATS","cmd":"STATS"}')).toEqual(duplicate('cmd'))
    expect(scan('{"cmd":"PUSH","cmd":"PULL","queue":"q","data":1}')).toEqual(duplicate('cmd'))
    expect(scan('{"cmd":7,"cmd":"STATS"}')).toEqual(duplicate('cmd'))
    expect(scan('{"cmd":"PAUSE","queue":"a","queue":"a"}')).toEqual(duplicate('queue'))
    expect(scan('{"cmd":"PAUSE","queue":"a","\\u0071ueue":"b"}')).toEqual(duplicate('queue'))
    expect(scan('{"cmd":"STATS","reqId":1,"reqId":1}')).toEqual(duplicate('reqId'))
    expect(scan('{"cmd":"ACKB","ids":[1],"ids":[2]}')).toEqual(duplicate('ids'))
    expect(scan('{"cmd":"PUSHB","queue":"q","jobs":[],"jobs":[]}')).toEqual(duplicate('jobs'))
    expect(scan('{"cmd":"PUSHB","queue":"q","jobs":[{"data":1},{"data":1,"data":2}]}')?.text).toBe(
      'Invalid: duplicate field "data" in jobs[1]',
    )
  })

  it('21 leaves doubles alone that the command does not know, and those inside of values', () => {
    expect(scan('{"cmd":"STATS","queue":1,"queue":2,"x":1,"x":2}')).toBe(null)
    expect(push('{"a":1,"a":2,"cmd":3,"cmd":4}')).toBe(null)
    expect(pushed()).toBe('{"a":1,"a":2,"cmd":3,"cmd":4}')
  })

  it('22, 23 takes keys that mean something to JavaScript for ordinary ones', () => {
    for (const key of [
      '__proto__',
      'constructor',
      'prototype',
      'toString',
      'hasOwnProperty',
      'then',
    ]) {
      const data = `{"${key}":{"${key}":{"isAdmin":true}}}`
      expect(push(data)).toBe(null)
      expect(pushed()).toBe(data)
      expect(scan(`{"cmd":"STATS","${key}":{"cmd":"PUSH"}}`)).toBe(null)
      expect(scan(`{"cmd":"PUSHB","queue":"q","jobs":[{"${key}":1,"data":2}]}`)).toBe(null)
    }
    expect(({} as { isAdmin?: boolean }).isAdmin).toBe(undefined)
  })

  it.each([
    '1e400',
    '-0',
    '1e-400',
    '9007199254740993',
    '1234567890123456789012345678901234567890',
    '0.1E+10',
  ])('24 takes the number %s, digit for digit', (number) => {
    expect(push(`[${number}]`)).toBe(null)
    expect(pushed()).toBe(`[${number}]`)
  })

  it.each([
    'NaN',
    'Infinity',
    '-Infinity',
    '+1',
    '01',
    '-',
    '-a',
    '1.',
    '.5',
    '1e',
    '1e+',
    '0x10',
    '1_000',
    '00',
  ])('25 refuses the number %s', (number) => {
    for (const data of [number, `[${number}]`, `{"a":${number}}`]) {
      expect(push(data)?.code, data).toBe('invalid')
    }
  })

  it('26, 27 takes an escaped NUL and a lone surrogate, as JSON.parse does', () => {
    for (const data of [
      '"\\u0000"',
      '"\\ud800"',
      '"\\udc00\\ud800"',
      '"\\"\\\\\\/\\b\\f\\n\\r\\t\\uABcd"',
    ]) {
      expect(push(data)).toBe(null)
      expect(pushed()).toBe(data)
    }
  })

  it.each(['\\x41', '\\u12', '\\u12G4', '\\', '\\u', '\\U0041', 'tab\there', '\u001f'])(
    'refuses the string with %j in it',
    (text) => {
      expect(push(`"${text}"`)?.code).toBe('invalid')
      expect(push(`{"${text}":1}`)?.code).toBe('invalid')
      expect(push(`{"é${text}":1}`)?.code).toBe('invalid')
    },
  )

  it.each(['[]', '[{"cmd":"STATS"}]', '"STATS"', '7', 'null', 'true'])(
    '28 refuses %s for a frame',
    (frame) => {
      expect(scan(frame)?.text).toContain('not a JSON object: unexpected')
    },
  )

  it('29, 31 takes a string of 10 MB and a key of 1 MB', () => {
    expect(push(`"${'x'.repeat(10_000_000)}"`)).toBe(null)
    expect(pushed()).toHaveLength(10_000_002)
    expect(push(`{"${'k'.repeat(1_000_000)}":1}`)).toBe(null)
    expect(scan(`{"cmd":"STATS","${'k'.repeat(1_000_000)}":1}`)).toBe(null)
  })

  it.each([
    '{"a":1,}',
    '[1,]',
    '[,1]',
    '{,}',
    '{"a" 1}',
    '{"a":}',
    '{"a":1 "b":2}',
    '{a:1}',
    "{'a':1}",
    '{1:2}',
    '[1 2]',
    '[1]]',
    '[1}',
    '{"a":1]',
    '// no\n1',
    '/* no */ 1',
    '1 // no',
    'tru',
    'truE',
    'nulll',
    'falsee',
    'undefined',
    '',
    '\u00a0 1',
    '\u000b1',
  ])('32 refuses the value %j', (data) => {
    expect(push(data)?.code).toBe('invalid')
    expect(scan(`{"cmd":"PUSHB","queue":"q","jobs":[{"data":${data}}]}`)?.code).toBe('invalid')
    expect(validateJson(Buffer.from(`${data}\n`), 0, Buffer.byteLength(data))).not.toBe(-1)
  })
})

describe('validateJson', () => {
  const validate = (text: string): number =>
    validateJson(Buffer.from(text), 0, Buffer.byteLength(text))

  it('says where the first wrong byte is', () => {
    expect(validate('{"a":[1,2]}')).toBe(-1)
    expect(validate(' [1,2 3] ')).toBe(6)
    expect(validate('[1] 2')).toBe(4)
    expect(validate('')).toBe(0)
    expect(validate('[1')).toBe(2)
    const bytes = Buffer.from('##[1,x]##')
    expect(validateJson(bytes, 2, 7)).toBe(5)
  })

  it('keeps to the depth it is given', () => {
    const bytes = Buffer.from('[[[]]]')
    expect(validateJson(bytes, 0, 6, 3)).toBe(-1)
    expect(validateJson(bytes, 0, 6, 2)).toBe(2)
    expect(validateJson(Buffer.from('[]'), 0, 2, 0)).toBe(0)
    expect(validateJson(Buffer.from('7'), 0, 1, 0)).toBe(-1)
    expect(limits.jsonDepthMax).toBe(64)
  })
})

describe('reqId', () => {
  const reqId = (): string | null =>
    command.reqIdFrom < 0
      ? null
      : command.bytes.toString('utf8', command.reqIdFrom, command.reqIdTo)

  it.each([
    '7',
    '-7',
    '"a"',
    '"\\u0041 é"',
    '"\\n"',
    `"${'x'.repeat(62)}"`,
    '12345678901234567890',
    '0',
  ])('keeps %s as it was sent', (raw) => {
    expect(scan(`{"cmd":"STATS","reqId": ${raw} }`)).toBe(null)
    expect(reqId()).toBe(raw)
    expect(scan(`{"reqId":${raw},"cmd":"STATS"}`)).toBe(null)
    expect(reqId()).toBe(raw)
  })

  it.each(['1.5', '1e3', 'null', 'true', '[]', '{}', `"${'x'.repeat(63)}"`, '1'.repeat(65)])(
    'refuses %s',
    (raw) => {
      expect(scan(`{"cmd":"STATS","reqId":${raw}}`)?.text).toBe(
        'Invalid: field "reqId" must be a string or an integer of at most 64 bytes',
      )
      expect(reqId()).toBe(null)
    },
  )

  it.each([
    '{"reqId":7}',
    '{"reqId":7,"cmd":"NO"}',
    '{"cmd":"PUSH","reqId":7}',
    '{"cmd":"PUSHB","queue":"q","jobs":[{"data":1,"priority":"x"}],"reqId":7}',
    '{"cmd":"ACKB","ids":[1,"2"],"reqId":7}',
    '{"cmd":"PAUSE","queue":"a","queue":"b","reqId":7}',
    '{"cmd":"PAUSE","reqId":7,"queue":"\xff"}',
    '{"cmd":"PAUSE","reqId":7,"queue":',
  ])('is there although %j is refused', (frame) => {
    expect(scan(Buffer.from(frame, 'latin1'))).not.toBe(null)
    expect(reqId()).toBe('7')
  })

  it('is not there when it is itself no UTF-8, and not that of the frame before', () => {
    expect(scan(Buffer.from('{"cmd":"STATS","reqId":"\xff"}', 'latin1'))?.text).toContain('UTF-8')
    expect(reqId()).toBe(null)
    scan('{"cmd":"STATS","reqId":7}')
    scan('{"cmd":"STATS"}')
    expect(reqId()).toBe(null)
    expect(command.op).toBe(Op.STATS)
  })
})
