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
import { fieldNames, knownOf } from '../../src/transports/wire/fields.ts'
import { validateJson } from '../../src/transports/wire/json-scanner.ts'
import { peekFrame } from '../../src/transports/wire/peek.ts'
import { scanFrame } from '../../src/transports/wire/scan.ts'
import { expected, frameBytes, type Json, mutatedFrame, shown } from '../support/command-frames.ts'
import {
  anyBytes,
  depthOf,
  isJson,
  isJsonObject,
  json,
  nested,
  trimmed,
} from '../support/json-bytes.ts'

const longRuns = Number(process.env['PROPERTY_RUNS'] ?? 0)
const seed = Number(process.env['PROPERTY_SEED'] ?? 42)

function settings(runs: number): fc.Parameters<unknown> {
  return { numRuns: Math.max(runs, longRuns), seed, endOnFailure: longRuns > 0 }
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
        const known = knownOf[command.op] as number
        const strangers = fieldNames.filter((_, field) => (known & (1 << field)) === 0)
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
  const line = Buffer.concat([frame, Buffer.from('\n')])
  const refusal = scanFrame(line, 0, frame.length, into)
  if (refusal !== null) expect(refusal.text).toMatch(/^(?:Invalid: |Limit exceeded: )/)
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
