// The scanner against JSON.parse: what one accepts the other accepts, and both read the same values.
//
//   PROPERTY_RUNS=200000 npx vitest run test/property/scan.test.ts     the long mode; add PROPERTY_SEED=… to replay

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Command } from '../../src/engine/command.ts'
import { IntColumn } from '../../src/engine/job-table.ts'
import { limits } from '../../src/engine/limits.ts'
import { type OpName, opNames, routeOf } from '../../src/engine/op.ts'
import type { Refusal } from '../../src/engine/refusal.ts'
import { fieldNames, knownOf, RARE_FROM, rareKnownOf } from '../../src/transports/wire/fields.ts'
import { validateJson } from '../../src/transports/wire/json-scanner.ts'
import { peekFrame } from '../../src/transports/wire/peek.ts'
import { scanFrame } from '../../src/transports/wire/scan.ts'
import { forgetShapes } from '../../src/transports/wire/scan-kernel.ts'
import { expected, frameBytes, type Json, mutatedFrame, shown } from '../support/command-frames.ts'
import {
  anyBytes,
  applyEdit,
  depthOf,
  edit,
  isJson,
  isJsonObject,
  json,
  nested,
  trimmed,
} from '../support/json-bytes.ts'
import { scanEveryWay, skipEveryWay } from '../support/kernel-ways.ts'

const longRuns = Number(process.env['PROPERTY_RUNS'] ?? 0)
const seed = Number(process.env['PROPERTY_SEED'] ?? 42)

function settings(runs: number): fc.Parameters<unknown> {
  return { numRuns: Math.max(runs, longRuns), seed, endOnFailure: longRuns > 0 }
}

/** Names of fields that the command does not have. */
function strangersTo(op: number): string[] {
  return fieldNames.filter((name, field) => {
    const known = (field < RARE_FROM ? knownOf : rareKnownOf)[op] as number
    return name !== '' && (known & (1 << (field % RARE_FROM))) === 0
  })
}

const PROPERTY_TIMEOUT_MS = 60_000 + longRuns * 2

describe('validateJson', () => {
  it('accepts what JSON.parse accepts', { timeout: PROPERTY_TIMEOUT_MS }, () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const at = validateJson(bytes, 0, bytes.length)
        expect(at === -1).toBe(isJson(bytes))
        expect(at).toBeLessThanOrEqual(bytes.length)
        // Inside of something larger it sees the same.
        const line = Buffer.concat([Buffer.from('}"'), bytes, Buffer.from('\n]"}')])
        const inside = validateJson(line, 2, 2 + bytes.length)
        expect(inside).toBe(at < 0 ? at : at + 2)
      }),
      settings(3000),
    )
  })

  it('accepts JSON as deep as the limit, and no deeper', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 60, maxLength: 70 }), (kinds) => {
        const bytes = nested(kinds)
        expect(validateJson(bytes, 0, bytes.length) === -1).toBe(
          kinds.length <= limits.jsonDepthMax,
        )
      }),
      settings(200),
    )
  })
})

describe('scanFrame', () => {
  it('accepts data when JSON.parse does, and gives back its bytes', {
    timeout: PROPERTY_TIMEOUT_MS,
  }, () => {
    const command = new Command()
    fc.assert(
      fc.property(anyBytes, fc.nat(3), (data, form) => {
        const [head, tail] = wrappings[form] as [string, string]
        const frame = Buffer.concat([Buffer.from(head), data, Buffer.from(tail)])
        const refusal = scan(frame, command)
        const isGood = isJson(data) && depthOf(data) <= limits.jsonDepthMax
        if (isGood) expect(refusal).toBe(null)
        if (refusal === null) {
          // Also when `data` was no value, but such as to make a whole with what is around it.
          expect(isJson(frame)).toBe(true)
          if (isGood) expect(dataOf(command).equals(trimmed(data))).toBe(true)
        }
      }),
      settings(3000),
    )
  })

  it('accepts a frame as JSON when JSON.parse does', { timeout: PROPERTY_TIMEOUT_MS }, () => {
    const command = new Command()
    fc.assert(
      fc.property(fc.oneof(frameBytes, mutatedFrame, anyBytes), (frame) => {
        const refusal = scan(frame, command)
        if (isJsonObject(frame)) expect(isAboutJson(refusal)).toBe(false)
        else expect(isAboutJson(refusal)).toBe(true)
      }),
      settings(5000),
    )
  })

  it('reads the values that JSON.parse reads', { timeout: PROPERTY_TIMEOUT_MS }, () => {
    const command = new Command()
    let seen = 0
    let accepted = 0
    fc.assert(
      fc.property(fc.oneof(frameBytes, mutatedFrame), (frame) => {
        seen++
        if (scan(frame, command) !== null) return
        accepted++
        expect(shown(command)).toEqual(expected(JSON.parse(frame.toString()) as Json))
      }),
      settings(5000),
    )
    // The frames are such that this says something.
    expect(accepted / seen).toBeGreaterThan(0.2)
  })

  it('is not impressed by keys that the command does not know', {
    timeout: PROPERTY_TIMEOUT_MS,
  }, () => {
    const command = new Command()
    fc.assert(
      fc.property(frameBytes, fc.nat(), json, (frame, which, value) => {
        if (scan(frame, command) !== null) return
        const before = shown(command)
        const strangers = strangersTo(command.op)
        const key = strangers[which % strangers.length] as string
        const twice = `,"${key}":${value},"${key}":7}`
        expect(scan(Buffer.from(frame.toString().replace(/}$/, () => twice)), command)).toBe(null)
        expect(shown(command)).toEqual(before)
      }),
      settings(2000),
    )
  })

  it('says the same wherever the frame lies', { timeout: PROPERTY_TIMEOUT_MS }, () => {
    const command = new Command()
    fc.assert(
      fc.property(mutatedFrame, (frame) => {
        const alone = scan(frame, command)
        const line = Buffer.concat([Buffer.from('{"cmd":"STATS"}\n'), frame, Buffer.from('\r\n{"')])
        const inside = scanFrame(line, 16, 16 + frame.length, command)
        expect(inside).toEqual(alone)
      }),
      settings(2000),
    )
  })
})

describe('the kernel', () => {
  it('passes a value when the scanner in JavaScript does', { timeout: PROPERTY_TIMEOUT_MS }, () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        skipEveryWay(bytes)
      }),
      settings(5000),
    )
  })

  it('is not fooled by a value that is almost like the one before', {
    timeout: PROPERTY_TIMEOUT_MS,
  }, () => {
    fc.assert(
      fc.property(
        json,
        fc.array(fc.array(edit, { maxLength: 2 }), { maxLength: 20 }),
        (bytes, all) => {
          forgetShapes()
          skipEveryWay(bytes)
          for (const edits of all) skipEveryWay(edits.reduce(applyEdit, bytes))
        },
      ),
      settings(1000),
    )
  })

  it('is not fooled by other tokens at the same places', { timeout: PROPERTY_TIMEOUT_MS }, () => {
    fc.assert(
      fc.property(
        json,
        fc.array(fc.array(swap, { maxLength: 4 }), { maxLength: 20 }),
        (bytes, all) => {
          const tokens = bytes.toString().match(/"(?:[^"\\]|\\.)*"|[-+.\w]+|\s+|./gsu) ?? []
          forgetShapes()
          skipEveryWay(bytes)
          for (const swaps of all) {
            const changed = [...tokens]
            for (const [at, width, token] of swaps) {
              changed.splice(Math.floor(at * changed.length), width, token)
            }
            skipEveryWay(Buffer.from(changed.join('')))
          }
        },
      ),
      settings(1000),
    )
  })

  it('finds the same jobs, whatever their form', { timeout: PROPERTY_TIMEOUT_MS }, () => {
    const command = new Command()
    let accepted = 0
    fc.assert(
      fc.property(jobList, fc.array(edit, { maxLength: 2 }), (list, edits) => {
        const frame = Buffer.from(`{"cmd":"PUSHB","queue":"q","jobs":${list}}`)
        if (scan(edits.reduce(applyEdit, frame), command) === null) accepted++
      }),
      settings(3000),
    )
    expect(accepted).toBeGreaterThan(500)
  })

  it('finds the same ids, whatever their form', { timeout: PROPERTY_TIMEOUT_MS }, () => {
    const command = new Command()
    fc.assert(
      fc.property(idList, idList, fc.array(edit, { maxLength: 1 }), (ids, tokens, edits) => {
        const frame = Buffer.from(`{"cmd":"ACKB","ids":${ids},"tokens":${tokens}}`)
        if (scan(edits.reduce(applyEdit, frame), command) === null) {
          expect([...command.ids.subarray(0, command.idCount)]).toEqual(JSON.parse(ids))
        }
        scan(Buffer.from(`{"cmd":"ACKB","ids":${ids}}`), command)
      }),
      settings(2000),
    )
  })
})

/** Where, how many tokens go, and what comes instead. */
const swap = fc.tuple(
  fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  fc.constantFrom(1, 1, 1, 1, 0, 2),
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom('0', '7', '-12', '1.5', '100000', '2e9', 'true', 'null'),
    },
    {
      weight: 3,
      arbitrary: fc.constantFrom('""', '"a"', '"ab"', '"0123456789abcdef"', '"\\""', '"é"'),
    },
    { weight: 2, arbitrary: fc.constantFrom('{}', '[]', '[1]', '{"a":1}') },
    {
      weight: 1,
      arbitrary: fc.constantFrom('{', '}', '[', ']', ',', ':', ' ', '"', '01', '1.', 'e5', '-'),
    },
  ),
)
const space = fc.constantFrom('', '', '', '', ' ', '\t ')
const plainOption = fc.constantFrom(
  '"priority":5',
  '"priority":-1',
  '"delay":1000',
  '"ttl": 0',
  '"timeout":999999999',
  '"max_attempts":4294967295',
  '"max_attempts":3 ',
  '"backoff":1234567890',
  '"backoff":01',
  '"ttl":null',
  '"delay" :7',
  '"tags":["a"]',
  '"unique_key":"k"',
  '"data":1',
  '"other":{"data":[]}',
)
const job = fc
  .tuple(json, fc.array(plainOption, { maxLength: 3 }), space, space, space)
  .map(([data, options, a, b, c]) => {
    return `{"data":${a}${data}${options.map((option) => `,${b}${option}`).join('')}${c}}`
  })
const jobList = fc
  .tuple(fc.array(job, { maxLength: 6 }), space, space)
  .map(([jobs, a, b]) => `[${jobs.join(`${a},${b}`)}]`)
const idList = fc
  .tuple(
    fc.array(
      fc.oneof(
        { weight: 8, arbitrary: fc.maxSafeNat().map(String) },
        { weight: 8, arbitrary: fc.nat(1000).map(String) },
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            '0',
            '9007199254740991',
            '9007199254740992',
            '00',
            '1.5',
            'null',
          ),
        },
      ),
      { maxLength: 12 },
    ),
    fc.constantFrom(',', ',', ',', ', ', ' ,'),
  )
  .map(([ids, comma]) => `[${ids.join(comma)}]`)

describe('peekFrame', () => {
  it('never says another op or key than the scan', { timeout: PROPERTY_TIMEOUT_MS }, () => {
    const peeked = new Command()
    const scanned = new Command()
    fc.assert(
      fc.property(fc.oneof(frameBytes, mutatedFrame), (frame) => {
        const line = Buffer.concat([frame, Buffer.from('\n')])
        if (!peekFrame(line, 0, frame.length, peeked)) return
        if (scanFrame(line, 0, frame.length, scanned) !== null) return
        expect(peeked.op).toBe(scanned.op)
        expect(routingKey(peeked)).toEqual(routingKey(scanned))
        const before = line.subarray(peeked.reqIdFrom, peeked.reqIdTo)
        // A `reqId` that comes late is seen by the scan only.
        if (peeked.reqIdFrom >= 0) {
          expect(before).toEqual(line.subarray(scanned.reqIdFrom, scanned.reqIdTo))
        }
      }),
      settings(5000),
    )
  })
})

const wrappings: readonly [string, string][] = [
  ['{"cmd":"PUSH","queue":"q","data":', '}'],
  ['{"data": ', ' , "queue":"q","cmd":"PUSH"}'],
  ['{"cmd":"PUSHB","queue":"q","jobs":[{"data":', '}]}'],
  ['{"jobs":[{"priority":1,"data": ', ' }],"cmd":"PUSHB","queue":"q"}'],
]

function scan(frame: Buffer, into: Command): Refusal | null {
  const refusal = scanEveryWay(frame, into)
  if (refusal !== null) expect(refusal.text).toMatch(/^(?:Invalid: |Limit exceeded: |Queue name )/)
  return refusal
}

function isAboutJson(refusal: Refusal | null): boolean {
  return (
    refusal !== null &&
    /not a JSON object|not valid UTF-8|JSON ends too early|empty line|nesting/.test(refusal.text)
  )
}

function dataOf({ bytes, jobs }: Command): Buffer {
  return bytes.subarray(jobs.ints[IntColumn.dataFrom], jobs.ints[IntColumn.dataTo])
}

function routingKey({ op, queue, id, name }: Command): unknown {
  if (op === 0) return null
  const route = routeOf[opNames[op] as OpName]
  if (route === 'queue') return queue
  return route === 'name' ? name : id % limits.shards
}
