// The kernel against the scanner in JavaScript, where it is most likely to differ: borders of 16 bytes, values that
// are almost like the one before, the ends of lists, sizes. Random values: test/property/scan.test.ts.

import { afterEach, describe, expect, it, vi } from 'vitest'
import { Command } from '../../../../src/engine/command.ts'
import { INT_STRIDE, JobFlag, NUM_STRIDE, NumColumn } from '../../../../src/engine/job-table.ts'
import { limits } from '../../../../src/engine/limits.ts'
import { scanFrame } from '../../../../src/transports/wire/scan.ts'
import {
  forgetShapes,
  NO_PLACE,
  placeOf,
  readArea,
  skipInKernel,
  useKernel,
} from '../../../../src/transports/wire/scan-kernel.ts'
import { nested } from '../../../support/json-bytes.ts'
import { scanEveryWay, skipEveryWay } from '../../../support/kernel-ways.ts'

const command = new Command()

afterEach(() => useKernel(true))

describe('a value', () => {
  it('is a string of any length, with anything anywhere', () => {
    const pieces = [
      '"',
      '\\',
      '\\"',
      '\\n',
      '\\u00e9',
      '\\u00g9',
      '\\x',
      '\n',
      '\0',
      '\x1f',
      '\x7f',
      'é',
      '語',
    ]
    for (let length = 0; length <= 70; length++) {
      const plain = 'abcdefghij'.repeat(7).slice(0, length)
      expect(skip(`"${plain}"`)).toBe(length + 2)
      for (let at = 0; at <= length; at++) {
        for (const piece of pieces) {
          forgetShapes()
          skip(`"${plain.slice(0, at)}${piece}${plain.slice(at)}"`)
          skip(`["${plain}",1]`)
          skip(`["${plain.slice(0, at)}${piece}${plain.slice(at)}",1]`)
        }
      }
    }
  })

  it('is a number of any form', () => {
    const parts = [
      '',
      '-',
      '0',
      '1',
      '12',
      '01',
      '.',
      '.5',
      '.0',
      'e',
      'E5',
      'e+1',
      'e-',
      '+1',
      '1e1',
    ]
    for (const a of parts) {
      for (const b of parts) {
        for (const c of parts) {
          skip(`${a}${b}${c}`)
          skip(`[${a}${b}${c}]`)
          // As the continuation of a shape of which it differs in that number only.
          forgetShapes()
          skip('{"a":10,"b":2}')
          skip(`{"a":${a}${b}${c},"b":2}`)
          skip(`{"a":10,"b":${a}${b}${c}}`)
        }
      }
    }
  })

  it('nests as deep as the limit, and no deeper', () => {
    const { jsonDepthMax } = limits
    for (const depth of [
      1,
      2,
      jsonDepthMax - 1,
      jsonDepthMax,
      jsonDepthMax + 1,
      jsonDepthMax + 2,
    ]) {
      for (const kind of [0, 1, 2, 3]) {
        forgetShapes()
        const kinds = Array.from({ length: depth }, (_, n) => ((n >> (kind >> 1)) + kind) % 2 === 0)
        const bytes = nested(kinds)
        for (const _ of [1, 2]) {
          expect(skipEveryWay(bytes)).toBe(depth <= jsonDepthMax ? bytes.length : -1)
        }
      }
    }
  })

  it('is compared with the shape of another one, and no byte of it goes unseen', () => {
    const bases = [
      '{"id":120,"to":"ann@example.com","ok":true,"list":[1.5,-2,null,"x"],"z":{}}',
      '[[],{"a":"","b":-0,"key of 20 characters":[false,"0123456789abcdef",9e9]},"end"]',
      '{ "a" : 1 , "b" : "c" , "d" : [ 2 , 3 ] }',
    ]
    const pieces = [
      ...'"\\{}[],: 019-.eEtx\n\0',
      'é',
      'null',
      'true',
      '""',
      '{}',
      '12',
      '"a":',
      '\\"',
    ]
    for (const base of bases) {
      for (let at = 0; at < base.length; at++) {
        for (const piece of pieces) {
          for (const width of [0, 1, 2, 3]) {
            forgetShapes()
            expect(skip(base)).toBe(base.length)
            skip(`${base.slice(0, at)}${piece}${base.slice(at + width)}`)
          }
        }
        for (let end = at + 1; end <= at + 20; end++) {
          forgetShapes()
          skip(base)
          skip(`${base.slice(0, at)}${base.slice(end)}`)
        }
      }
    }
  })

  it('is compared with the shape of another one, and no token of it goes unseen', () => {
    const bases = [
      ['{', '"a"', ' ', ':', '1', ',', '"b"', ':', ' ', '"c"', '}'],
      ['[', '12', ',', 'true', ' ', ',', '"abc"', ',', '{', '}', ',', '[', ']', ',', '-0.5e1', ']'],
    ]
    const pieces = [
      '',
      ' ',
      '1',
      '12',
      '0',
      '-',
      'true',
      'null',
      '"x"',
      '"abcde"',
      '""',
      '{}',
      '[]',
      ...'{}[],:"',
    ]
    for (const base of bases) {
      for (let at = 0; at < base.length; at++) {
        for (let end = at; end <= Math.min(at + 3, base.length); end++) {
          for (const first of pieces) {
            for (const second of pieces) {
              forgetShapes()
              skip(base.join(''))
              skip([...base.slice(0, at), first, second, ...base.slice(end)].join(''))
            }
          }
        }
      }
    }
  })

  it('may be of the length at which shapes end', () => {
    for (let length = 2000; length < 2100; length++) {
      forgetShapes()
      const value = `{"a":"${'x'.repeat(length - 10)}","b":1}`
      for (const it of [value, value.replace('x"', '"'), value.replace('x"', '\\"')]) skip(it)
    }
  })

  it('may be a scalar, like and unlike a shape', () => {
    for (const it of [
      '1',
      '12',
      '1 2',
      '"a"',
      '"ab"',
      '"a',
      'true',
      'nul',
      '"a"b',
      '',
      ' 1',
      '}',
    ]) {
      skip(it)
      skip(it)
    }
  })

  function skip(text: string): number {
    return skipEveryWay(Buffer.from(text))
  }
})

describe('jobs', () => {
  it('are found however many there are, up to the limit', () => {
    for (const count of [0, 1, 2, 999, 1000, 1001, 1002]) {
      const jobs = Array.from({ length: count }, (_, n) => `{"data":{"n":${n}}}`).join(',')
      const refusal = scanEveryWay(pushb(`[${jobs}]`), command)
      expect(refusal?.code).toBe(count > limits.batchMax ? 'limit_exceeded' : undefined)
      if (refusal === null) expect(command.jobs.count).toBe(count)
    }
  })

  it('have their options in the columns of their flags', () => {
    const frame = pushb(
      '[{"data":1,"priority":2,"delay":3,"ttl":4,"timeout":5,"max_attempts":6,"backoff":7},{"data":2}]',
    )
    expect(scanEveryWay(frame, command)).toBe(null)
    const { nums } = command.jobs
    const columns = ['delay', 'ttl', 'timeout', 'maxAttempts', 'backoff'] as const
    expect(columns.map((name) => nums[NumColumn[name]])).toEqual([3, 4, 5, 6, 7])
    expect(NUM_STRIDE).toBe(columns.length)
    expect(command.jobs.flagsSeen).toBe(
      columns.reduce<number>((flags, name) => flags | JobFlag[name], JobFlag.priority),
    )
  })

  it.each([
    ['an option at its most', '"delay":31536000000'],
    ['an option beyond it', '"delay":31536000001'],
    ['a number of nine digits', '"timeout":999999999'],
    ['a number of ten', '"max_attempts":4294967295'],
    ['a number that is too large for 32 bits', '"max_attempts":4294967296'],
    ['a number that overflows to a small one', '"priority":4294967301'],
    ['a number of far too many digits', `"priority":${'1'.repeat(40)}`],
    ['an option twice', '"ttl":1,"ttl":2'],
    ['an option twice, behind a strange one', '"ttl":1,"x":0,"ttl":2'],
    ['data twice', '"data":1'],
    ['a key that begins like an option', '"delays":1'],
    ['a key that is a part of an option', '"max_attempt":1'],
    ['an escaped key', '"dela\\u0079":1'],
    ['blanks', ' "delay" : 1 '],
    ['a trailing comma', '"delay":1,'],
    ['no value', '"delay":'],
    ['a list', '"depends_on":[32,64],"tags":["a"]'],
    ['null', '"delay":null,"priority":1'],
  ])('with %s are what they are without the kernel', (_, option) => {
    for (const list of [
      `[{"data":{"a":1},${option}}]`,
      `[{"data":{"a":1}},{"data":{"a":2},${option}},{"data":{"a":3}}]`,
      `[{${option},"data":{"a":1}},{"data":{"a":3}}]`,
      `[{"data":{"a":1},${option}`,
      `[{"data":{"a":1},${option}},`,
    ]) {
      scanEveryWay(pushb(list), command)
    }
  })

  it('may be cut anywhere', () => {
    const frame = pushb(
      '[{"data":{"a":"b","c":[1,null]},"delay":10}, {"data":"é"},{"tags":["x"],"data":7}]',
    )
    for (let to = 0; to <= frame.length; to++) scanEveryWay(frame.subarray(0, to), command)
  })

  it('beyond ASCII are checked as UTF-8, in keys, values and shapes', () => {
    for (const bad of ['ff', 'c0af', 'eda080', 'c3']) {
      const piece = Buffer.from(bad, 'hex').toString('latin1')
      for (const list of [`[{"data":"${piece}"}]`, `[{"data":{"${piece}":1}}]`]) {
        const frame = Buffer.from(pushb(`[{"data":"ab"},${list.slice(1)}`).toString(), 'utf8')
        const bytes = Buffer.from(frame.toString('utf8'), 'latin1')
        expect(scanEveryWay(bytes, command)?.text).toBe('Invalid: not valid UTF-8')
      }
    }
  })

  it('are copied into the memory of the kernel when they lie elsewhere, whatever their size', () => {
    for (const size of [1, 500, 512, 600, 70_000, 1_048_000, 1_048_576, 1_100_000]) {
      const data = `{"a":"${'x'.repeat(size)}"}`
      const line = Buffer.concat([
        pushb(`[{"data":1},{"data":${data}},{"data":{}}]`),
        Buffer.from('\n'),
      ])
      for (const use of [true, false]) {
        useKernel(use)
        expect(scanFrame(line, 0, line.length - 1, command)).toBe(null)
        expect(command.bytes).toBe(line)
        const [from, to] = command.jobs.ints.subarray(INT_STRIDE)
        expect(line.toString('latin1', from, to)).toBe(data)
      }
    }
  })

  function pushb(list: string): Buffer {
    return Buffer.from(`{"cmd":"PUSHB","queue":"q","jobs":${list}}`)
  }
})

it('a long value of one job or one result is what it is without the kernel', () => {
  const filler = `"${'x'.repeat(300)}"`
  for (const value of [
    `{"a":${filler}}`,
    `{"a":${filler},"b":[1,2,{"c":null}]}`,
    `{"a":${filler},"b":[1,2,{"c":nul}]}`,
    `{"a":${filler},"b":01}`,
    `{"a":${filler}`,
    `${'['.repeat(64)}${filler}${']'.repeat(64)}`,
    `${'['.repeat(65)}${filler}${']'.repeat(65)}`,
    `{"a":"é${filler.slice(1)},"b":"\\u00e9"}`,
    '1',
    filler,
  ]) {
    for (const frame of [
      `{"cmd":"PUSH","queue":"q","data":${value}}`,
      `{"data": ${value} ,"cmd":"PUSH","queue":"q","tags":[${filler}]}`,
      `{"cmd":"PUSH","data":${value},"queue":"q","data":${value}}`,
      `{"cmd":"ACK","id":32,"result":${value}}`,
    ]) {
      scanEveryWay(Buffer.from(frame), command)
      scanEveryWay(Buffer.from(frame), command)
    }
  }
})

describe('ids', () => {
  it('have any number of digits', () => {
    const digits = '9007199254740991234'
    for (let length = 1; length <= digits.length; length++) {
      const id = digits.slice(0, length)
      for (const list of [
        `[${id}]`,
        `[${id},${id},1]`,
        `[1,${id}]`,
        `[0${id}]`,
        `[${id}`,
        `[${id},]`,
        `[${id} ]`,
      ]) {
        scanEveryWay(Buffer.from(`{"cmd":"ACKB","ids":${list}}`), command)
      }
    }
    for (const id of [
      9_007_199_254_740_991, 9_007_199_254_740_992, 1_000_000_000_000_000, 99_999_999, 100_000_000,
    ]) {
      const refusal = scanEveryWay(Buffer.from(`{"cmd":"ACKB","ids":[5,${id}]}`), command)
      expect(refusal === null).toBe(id <= Number.MAX_SAFE_INTEGER)
      if (refusal === null) expect(command.ids[1]).toBe(id)
    }
  })

  it('are found however many there are, up to the limit', () => {
    for (const count of [1, 999, 1000, 1001]) {
      const ids = Array.from({ length: count }, (_, n) => 32 * n)
      const refusal = scanEveryWay(Buffer.from(JSON.stringify({ cmd: 'ACKB', ids })), command)
      expect(refusal === null).toBe(count <= limits.batchMax)
      if (refusal === null) expect([...command.ids.subarray(0, command.idCount)]).toEqual(ids)
    }
  })
})

describe('where WebAssembly has no SIMD', () => {
  it('everything is scanned in JavaScript', async () => {
    vi.resetModules()
    vi.stubGlobal('WebAssembly', {
      Module: class {
        constructor() {
          throw new Error('SIMD unsupported')
        }
      },
    })
    try {
      const without = await import('../../../../src/transports/wire/scan-kernel.ts')
      const { scanFrame: scan } = await import('../../../../src/transports/wire/scan.ts')
      expect(without.placeOf(without.readArea, 0, 1000)).toBe(NO_PLACE)
      const frame = Buffer.from('{"cmd":"PUSHB","queue":"q","jobs":[{"data":1},{"data":2}]}\n')
      frame.copy(without.readArea)
      expect(scan(without.readArea, 0, frame.length - 1, command)).toBe(null)
      expect(command.jobs.count).toBe(2)
    } finally {
      vi.unstubAllGlobals()
      vi.resetModules()
    }
  })
})

it('never reads beyond its memory', () => {
  expect(placeOf(readArea, 0, 10)).toBe(readArea.byteOffset)
  const end = readArea.buffer.byteLength
  expect(() => skipInKernel(0, end - 8, end - 1, 64)).toThrow()
})
