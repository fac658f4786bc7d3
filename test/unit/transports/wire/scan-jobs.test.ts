// The jobs of PUSH and PUSHB: types, ranges, lists. Numbers in titles: design/reliability.md, D.5.

import { describe, expect, it } from 'vitest'
import { Command } from '../../../../src/engine/command.ts'
import {
  INT_STRIDE,
  IntColumn,
  JobFlag,
  NUM_STRIDE,
  NumColumn,
  TextColumn,
} from '../../../../src/engine/job-table.ts'
import { limits } from '../../../../src/engine/limits.ts'
import { Op } from '../../../../src/engine/op.ts'
import { scanFrame } from '../../../../src/transports/wire/scan.ts'

const command = new Command()

/** The refusal's text, or null. */
function scan(frame: string): string | null {
  const line = Buffer.from(`${frame}\n`)
  return scanFrame(line, 0, line.length - 1, command)?.text ?? null
}

function code(frame: string): string | null {
  const line = Buffer.from(`${frame}\n`)
  return scanFrame(line, 0, line.length - 1, command)?.code ?? null
}

/** PUSH and PUSHB must say the same of a job's fields. */
function push(members: string): string | null {
  const batch = scan(`{"cmd":"PUSHB","queue":"q","jobs":[{"data":0},{${members}}]}`)
  const first = scan(`{"cmd":"PUSHB","queue":"q","jobs":[{${members}},{"data":0}]}`)
  const late = scan(`{"jobs":[{"data":0},{${members}}],"queue":"q","cmd":"PUSHB"}`)
  const single = scan(`{"cmd":"PUSH","queue":"q",${members}}`)
  const shown = (text: string | null): string | null =>
    text?.replace(/ (?:of|in) jobs\[\d\]/, '') ?? null
  expect(shown(batch)).toBe(single)
  expect(shown(first)).toBe(single)
  expect(late).toBe(batch)
  if (single !== null) expect(batch).toContain('jobs[1]')
  return single
}

function int(column: number, row = 0): number {
  return command.jobs.ints[row * INT_STRIDE + column] as number
}

function text(column: number): number {
  return command.jobs.texts[column] as number
}

function num(column: number, row = 0): number {
  return command.jobs.nums[row * NUM_STRIDE + column] as number
}

function raw(from: number, to: number): string {
  return command.bytes.toString('utf8', from, to)
}

const numbers = [
  ['delay', JobFlag.delay, NumColumn.delay, limits.delayMsMax],
  ['ttl', JobFlag.ttl, NumColumn.ttl, limits.ttlMsMax],
  ['timeout', JobFlag.timeout, NumColumn.timeout, limits.timeoutMsMax],
  ['max_attempts', JobFlag.maxAttempts, NumColumn.maxAttempts, limits.attemptsMax],
  ['backoff', JobFlag.backoff, NumColumn.backoff, limits.backoffMsMax],
] as const

describe('jobs', () => {
  it('reads all fields of a job', () => {
    const frame =
      '{"cmd":"PUSH","queue":"mail","data":{"a":[1]},"priority":-5,"delay":1,"ttl":2,"timeout":3,' +
      '"max_attempts":4,"backoff":5,"unique_key":"k\\u0041","depends_on":[7,8],"tags":["a","b"]}'
    expect(scan(frame)).toBe(null)
    expect([command.op, command.queue, command.jobs.count]).toEqual([Op.PUSH, 'mail', 1])
    expect(raw(int(IntColumn.dataFrom), int(IntColumn.dataTo))).toBe('{"a":[1]}')
    expect(int(IntColumn.priority)).toBe(-5)
    expect([...command.jobs.nums.subarray(0, 5)]).toEqual([1, 2, 3, 4, 5])
    expect(raw(text(TextColumn.keyFrom), text(TextColumn.keyTo))).toBe('k\\u0041')
    expect(raw(text(TextColumn.dependsFrom), text(TextColumn.dependsTo))).toBe('[7,8]')
    expect(raw(text(TextColumn.tagsFrom), text(TextColumn.tagsTo))).toBe('["a","b"]')
    const all = Object.values(JobFlag).reduce<number>((mask, bit) => mask | bit, 0)
    expect(int(IntColumn.flags)).toBe(all)
    expect(command.jobs.flagsSeen).toBe(all)
  })

  it('reads the jobs of a batch, whatever the order of their keys', () => {
    const jobs = '[{"data":1}, {"priority":3,"data":"two"} ,{"data":[3],"ttl":9,"unknown":{}}]'
    for (const frame of [
      `{"cmd":"PUSHB","queue":"q","jobs":${jobs}}`,
      `{"jobs": ${jobs} ,"queue":"q","cmd":"PUSHB"}`,
    ]) {
      expect(scan(frame)).toBe(null)
      expect(command.jobs.count).toBe(3)
      const data = [0, 1, 2].map((row) =>
        raw(int(IntColumn.dataFrom, row), int(IntColumn.dataTo, row)),
      )
      expect(data).toEqual(['1', '"two"', '[3]'])
      expect([0, 1, 2].map((row) => int(IntColumn.flags, row))).toEqual([
        0,
        JobFlag.priority,
        JobFlag.ttl,
      ])
      expect(int(IntColumn.priority, 1)).toBe(3)
      expect(num(NumColumn.ttl, 2)).toBe(9)
      expect(command.jobs.flagsSeen).toBe(JobFlag.priority | JobFlag.ttl)
    }
  })

  it('does not carry flags over from the frame before', () => {
    scan('{"cmd":"PUSHB","queue":"q","jobs":[{"data":1,"priority":3}]}')
    expect(scan('{"cmd":"PUSHB","queue":"q","jobs":[{"data":1}]}')).toBe(null)
    expect([int(IntColumn.flags), command.jobs.flagsSeen]).toEqual([0, 0])
    expect(scan('{"cmd":"PUSHB","queue":"q","jobs":[{"x":0,"data":1}]}')).toBe(null)
    expect([int(IntColumn.flags), command.jobs.flagsSeen]).toEqual([0, 0])
    scan('{"cmd":"PUSH","queue":"q","data":1,"delay":5}')
    expect(scan('{"cmd":"PUSH","queue":"q","data":1}')).toBe(null)
    expect([int(IntColumn.flags), command.jobs.flagsSeen]).toEqual([0, 0])
  })

  it('needs data, which may be null', () => {
    expect(push('"data":null')).toBe(null)
    expect(raw(int(IntColumn.dataFrom), int(IntColumn.dataTo))).toBe('null')
    expect(push('"priority":1')).toBe('Invalid: missing field "data"')
    expect(scan('{"cmd":"PUSHB","jobs":[{"x":1}]}')).toBe('Invalid: missing field "queue"')
    expect(scan('{"cmd":"PUSHB","queue":"q","jobs":[{}]}')).toBe(
      'Invalid: missing field "data" in jobs[0]',
    )
    expect(scan('{"cmd":"PUSHB","queue":"q","jobs":[ { } ]}')).toBe(
      'Invalid: missing field "data" in jobs[0]',
    )
  })

  it.each(numbers)(
    'takes %s from 0 to its maximum, null for absent, and nothing else',
    (name, flag, column, max) => {
      for (const value of [0, 1, 999_999_999, 1_000_000_000, max]) {
        expect(push(`"data":1,"${name}":${value}`)).toBe(null)
        expect(num(column)).toBe(value)
        expect(int(IntColumn.flags)).toBe(flag)
      }
      expect(push(`"data":1,"${name}":null`)).toBe(null)
      expect(int(IntColumn.flags)).toBe(0)
      expect(push(`"data":1,"${name}":${max + 1}`)).toBe(
        `Invalid: field "${name}" is ${max + 1}, the maximum is ${max}`,
      )
      // 36, 38, 41
      for (const value of [
        '-1',
        '1.0',
        '1e3',
        '"1"',
        'true',
        '[]',
        '{}',
        '-0',
        '9007199254740992',
        '1000000000000000000',
      ]) {
        expect(push(`"data":1,"${name}":${value}`), value).toBe(
          `Invalid: field "${name}" must be an integer from 0 to 2^53 - 1`,
        )
      }
    },
  )

  it('35 takes a priority of 32 bits, and refuses null for it', () => {
    for (const value of [0, -1, 2 ** 31 - 1, -(2 ** 31), 1_000_000_000]) {
      expect(push(`"data":1,"priority":${value}`)).toBe(null)
      expect(int(IntColumn.priority)).toBe(value)
      expect(int(IntColumn.flags)).toBe(JobFlag.priority)
    }
    for (const value of ['2147483648', '-2147483649', '1.5', '"1"', 'null', '1e1', 'true', '[1]']) {
      expect(push(`"data":1,"priority":${value}`)).toBe(
        'Invalid: field "priority" must be an integer from -2^31 to 2^31 - 1',
      )
    }
  })

  it('44 takes a unique_key of up to 256 bytes of text', () => {
    for (const key of ['', 'k', 'x'.repeat(256), 'é'.repeat(128), '\\u00e9'.repeat(128), '\\"']) {
      expect(push(`"data":1,"unique_key":"${key}"`)).toBe(null)
      expect(raw(text(TextColumn.keyFrom), text(TextColumn.keyTo))).toBe(key)
      const escaped = key.includes('\\') ? JobFlag.keyEscaped : 0
      expect(int(IntColumn.flags)).toBe(JobFlag.uniqueKey | escaped)
    }
    expect(push('"data":1,"unique_key":null')).toBe(null)
    expect(int(IntColumn.flags)).toBe(0)
    for (const key of ['x'.repeat(257), 'é'.repeat(129), '\\u00e9'.repeat(129)]) {
      expect(push(`"data":1,"unique_key":"${key}"`)).toBe(
        'Limit exceeded: bytes of unique_key (max 256)',
      )
    }
    expect(push('"data":1,"unique_key":7')).toBe('Invalid: field "unique_key" must be a string')
  })

  it('42 takes up to 100 dependencies', () => {
    const list = (count: number): string =>
      `[${Array.from({ length: count }, (_, n) => n).join(' , ')} ]`
    expect(push(`"data":1,"depends_on":${list(100)}`)).toBe(null)
    expect(raw(text(TextColumn.dependsFrom), text(TextColumn.dependsTo))).toBe(list(100))
    expect(int(IntColumn.flags)).toBe(JobFlag.dependsOn)
    expect(push(`"data":1,"depends_on":${list(101)}`)).toBe(
      'Limit exceeded: elements of depends_on (max 100)',
    )
    for (const none of ['[]', '[ ]', 'null']) {
      expect(push(`"data":1,"depends_on":${none}`)).toBe(null)
      expect(int(IntColumn.flags)).toBe(0)
    }
    for (const wrong of [
      '1',
      '{}',
      '["1"]',
      '[-1]',
      '[1.5]',
      '[null]',
      '[[1]]',
      '[9007199254740992]',
      '"[1]"',
    ]) {
      expect(push(`"data":1,"depends_on":${wrong}`)).toBe(
        'Invalid: field "depends_on" must be an array of job ids',
      )
    }
  })

  it('43 takes up to 32 tags of 64 bytes, the same twice too', () => {
    const list = (tags: readonly string[]): string => `[${tags.map((tag) => `"${tag}"`).join()}]`
    for (const tags of [
      ['a', 'a'],
      [''],
      ['a,]"'.replace('"', '\\"')],
      Array.from({ length: 32 }, () => 'x'.repeat(64)),
    ]) {
      expect(push(`"data":1,"tags":${list(tags)}`)).toBe(null)
      expect(raw(text(TextColumn.tagsFrom), text(TextColumn.tagsTo))).toBe(list(tags))
      expect(int(IntColumn.flags)).toBe(JobFlag.tags)
    }
    expect(push(`"data":1,"tags":${list(Array.from({ length: 33 }, () => 'x'))}`)).toBe(
      'Limit exceeded: elements of tags (max 32)',
    )
    expect(push(`"data":1,"tags":["${'x'.repeat(65)}"]`)).toBe(
      'Limit exceeded: bytes of a tag (max 64)',
    )
    for (const wrong of ['"a"', '[1]', '[null]', '[["a"]]', '{}']) {
      expect(push(`"data":1,"tags":${wrong}`)).toBe(
        'Invalid: field "tags" must be an array of strings',
      )
    }
  })

  it('39 takes batches of 0 to 1,000 jobs', () => {
    const batch = (count: number): string =>
      `{"cmd":"PUSHB","queue":"q","jobs":[${Array.from({ length: count }, () => '{"data":1}').join()}]}`
    for (const count of [0, 1, 1000]) {
      expect(scan(batch(count))).toBe(null)
      expect(command.jobs.count).toBe(count)
    }
    expect(scan(batch(1001))).toBe('Limit exceeded: jobs in a batch (max 1000)')
    expect(code(batch(1001))).toBe('limit_exceeded')
    expect(scan(batch(1000).replace(/\{"data":1\}\]/, '{"data":1,"delay":-1}]'))).toBe(
      'Invalid: field "delay" of jobs[999] must be an integer from 0 to 2^53 - 1',
    )
  })

  it.each([
    '7',
    'null',
    '"x"',
    '{}',
    '[7]',
    '[null]',
    '[[]]',
    '[{"data":1},7]',
    '[{"data":1}{"data":1}]',
  ])('refuses %s for jobs', (jobs) => {
    expect(scan(`{"cmd":"PUSHB","queue":"q","jobs":${jobs}}`)).toMatch(/^Invalid: /)
    expect(scan(`{"jobs":${jobs},"cmd":"PUSHB","queue":"q"}`)).toMatch(/^Invalid: /)
  })

  it('46 ignores fields that no client may set', () => {
    expect(
      push('"data":1,"isAdmin":true,"attempts":99,"state":"completed","id":7,"queue2":"x"'),
    ).toBe(null)
    expect(int(IntColumn.flags)).toBe(0)
    expect(
      scan('{"cmd":"PUSHB","queue":"q","jobs":[{"data":1,"queue":"other","cmd":"ACK"}]}'),
    ).toBe(null)
    expect(command.queue).toBe('q')
  })
})
