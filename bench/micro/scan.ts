// From bytes to commands: ns per job of a 1,000-job PUSHB, per single frame, per id of an ACKB; against JSON.parse.
//
//   npx tsc -p tsconfig.json --outDir dist-bench && node dist-bench/bench/micro/scan.js [--tiny]
//
// Each frame is scanned where the kernel needs no copy, where it does, and without it; docs/adr/0005-simd-kernel.md has figures.

import { fileURLToPath } from 'node:url'
import { Command } from '../../src/engine/command.ts'
import { Framer } from '../../src/transports/wire/framer.ts'
import { peekFrame } from '../../src/transports/wire/peek.ts'
import { scanFrame } from '../../src/transports/wire/scan.ts'
import { lineArea, useKernel } from '../../src/transports/wire/scan-kernel.ts'
import { isTiny, type Measurement, measure } from './harness.ts'
import { largeData, shapedData, smallData, unicodeData, variedData } from './job-data.ts'

interface Case {
  readonly name: string
  readonly unit: string
  readonly units: number
  readonly frame: Buffer
}

/** So many in each run, so that a run is long enough to be timed and the code gets warm. */
const UNITS_PER_RUN = 10_000

export function benchScan(tiny: boolean): Measurement[] {
  const measured: Measurement[] = []
  const command = new Command()
  for (const { name, unit, units, frame } of cases()) {
    const to = frame.length - 1
    const text = frame.toString('utf8', 0, to)
    const title = `${name}, ${Math.round(frame.length / units)} bytes a ${unit}`
    const times = Math.ceil(UNITS_PER_RUN / units)
    const inKernel = lineArea(0).subarray(0, frame.length)
    const scanOf = (bytes: Buffer): (() => void) =>
      repeated(times, () => {
        const refusal = scanFrame(bytes, 0, to, command)
        if (refusal !== null) throw new Error(refusal.text)
      })
    const parse = repeated(times, () => JSON.parse(text))
    frame.copy(inKernel)
    measured.push(measure(`${title}: kernel`, units * times, scanOf(inKernel), { tiny }))
    measured.push(measure(`${title}: kernel, copied`, units * times, scanOf(frame), { tiny }))
    useKernel(false)
    measured.push(measure(`${title}: JavaScript`, units * times, scanOf(frame), { tiny }))
    useKernel(true)
    measured.push(measure(`${title}: JSON.parse`, units * times, parse, { tiny }))
  }
  const push = line({ cmd: 'PUSH', queue: 'emails-high', data: smallData(1) })
  const peek = repeated(UNITS_PER_RUN, () => {
    if (!peekFrame(push, 0, push.length - 1, command)) throw new Error('not peeked')
  })
  measured.push(measure('PUSH: peek', UNITS_PER_RUN, peek, { tiny }))
  measured.push(benchFramer(push, tiny))
  return measured
}

function repeated(times: number, run: () => unknown): () => void {
  return () => {
    for (let n = 0; n < times; n++) run()
  }
}

function benchFramer(frame: Buffer, tiny: boolean): Measurement {
  const count = Math.floor(65_536 / frame.length)
  const chunk = Buffer.concat(Array.from({ length: count }, () => frame))
  const framer = new Framer(1 << 24)
  const run = (): void => {
    framer.feed(chunk)
    while (framer.next());
  }
  return measure(`framer, ${frame.length} bytes a frame in chunks of 64 KiB`, count, run, { tiny })
}

function cases(): Case[] {
  const count = 1000
  const batch = (job: (n: number) => object): Buffer =>
    line({
      cmd: 'PUSHB',
      queue: 'emails-high',
      jobs: Array.from({ length: count }, (_, n) => job(n)),
    })
  const ids = Array.from({ length: count }, (_, n) => 12_345_678_901_234 + 32 * n)
  return [
    {
      name: 'PUSHB, small',
      unit: 'job',
      units: count,
      frame: batch((n) => ({ data: smallData(n) })),
    },
    {
      name: 'PUSHB, of all lengths',
      unit: 'job',
      units: count,
      frame: batch((n) => ({ data: variedData(n) })),
    },
    {
      name: 'PUSHB, of four shapes',
      unit: 'job',
      units: count,
      frame: batch((n) => ({ data: shapedData(n) })),
    },
    {
      name: 'PUSHB, large',
      unit: 'job',
      units: count,
      frame: batch((n) => ({ data: largeData(n) })),
    },
    {
      name: 'PUSHB, options',
      unit: 'job',
      units: count,
      frame: batch((n) => ({ data: smallData(n), priority: n % 10, delay: 1000, max_attempts: 5 })),
    },
    {
      name: 'PUSHB, not ASCII',
      unit: 'job',
      units: count,
      frame: batch((n) => ({ data: unicodeData(n) })),
    },
    {
      name: 'PUSH, small',
      unit: 'frame',
      units: 1,
      frame: line({ cmd: 'PUSH', queue: 'emails-high', data: smallData(7) }),
    },
    {
      name: 'PUSH, large',
      unit: 'frame',
      units: 1,
      frame: line({ cmd: 'PUSH', queue: 'emails-high', data: largeData(7) }),
    },
    { name: 'PULL', unit: 'frame', units: 1, frame: line({ cmd: 'PULL', queue: 'emails-high' }) },
    { name: 'ACK', unit: 'frame', units: 1, frame: line({ cmd: 'ACK', id: 1_234_567 }) },
    { name: 'ACKB', unit: 'id', units: count, frame: line({ cmd: 'ACKB', ids }) },
  ]
}

function line(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) benchScan(isTiny())
