// How long the scanner takes per job of a 1,000-job PUSHB, per PUSH and per id of an ACKB, against JSON.parse.
//
//   npx tsc -p tsconfig.json --outDir dist-bench && node dist-bench/bench/micro/scan.js
//
// Fixed input, the best of several rounds. With `--tiny` one short round, to show that it still runs.

import { pathToFileURL } from 'node:url'
import { Command } from '../../src/engine/command.ts'
import { peekFrame } from '../../src/transports/wire/peek.ts'
import { scanFrame } from '../../src/transports/wire/scan.ts'

export interface Timing {
  readonly name: string
  /** What one unit is: a job, a frame, an id. */
  readonly unit: string
  readonly bytesPerUnit: number
  readonly scanNs: number
  readonly parseNs: number
}

interface Case {
  readonly name: string
  readonly unit: string
  readonly units: number
  readonly frame: Buffer
}

export function runScanBench(rounds: number, roundMs: number): Timing[] {
  return cases().map(({ name, unit, units, frame }) => {
    const text = frame.toString('utf8', 0, frame.length - 1)
    const command = new Command()
    const scan = (): void => {
      const refusal = scanFrame(frame, 0, frame.length - 1, command)
      if (refusal !== null) throw new Error(refusal.text)
    }
    return {
      name,
      unit,
      bytesPerUnit: Math.round(frame.length / units),
      scanNs: bestNs(scan, rounds, roundMs) / units,
      parseNs: bestNs(() => JSON.parse(text), rounds, roundMs) / units,
    }
  })
}

/** Per frame: the ns that `peekFrame` takes for a PUSH. */
export function runPeekBench(rounds: number, roundMs: number): number {
  const frame = line({ cmd: 'PUSH', queue: 'emails-high', data: smallData(1) })
  const command = new Command()
  return bestNs(() => peekFrame(frame, 0, frame.length - 1, command), rounds, roundMs)
}

function cases(): Case[] {
  const count = 1000
  const batch = (job: (n: number) => object): Buffer =>
    line({
      cmd: 'PUSHB',
      queue: 'emails-high',
      jobs: Array.from({ length: count }, (_, n) => job(n)),
    })
  const ids = Array.from({ length: count }, (_, n) => 1_234_567 + 32 * n)
  return [
    {
      name: 'PUSHB, small',
      unit: 'job',
      units: count,
      frame: batch((n) => ({ data: smallData(n) })),
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
    { name: 'PULL', unit: 'frame', units: 1, frame: line({ cmd: 'PULL', queue: 'emails-high' }) },
    { name: 'ACK', unit: 'frame', units: 1, frame: line({ cmd: 'ACK', id: 1_234_567 }) },
    { name: 'ACKB', unit: 'id', units: count, frame: line({ cmd: 'ACKB', ids }) },
  ]
}

/** With its wrapping, 72 bytes. */
function smallData(n: number): object {
  return { userId: 100_000 + n, action: 'send', to: 'user@example.com' }
}

/** With its wrapping, about 380 bytes. */
function largeData(n: number): object {
  return {
    id: `order-${100_000 + n}`,
    customer: { name: 'Ada Lovelace', email: 'ada@example.com', vip: true, score: 98.5 },
    items: [
      { sku: 'A-1001', count: 2, price: 19.99 },
      { sku: 'B-2002', count: 1, price: 149.0 },
      { sku: 'C-3003', count: 12, price: 0.5 },
    ],
    shipping: { street: '12 Analytical Engine Road', city: 'London', zip: 'N1 9GU' },
    note: 'leave at the door, ring twice',
    tags: ['priority', 'gift', null],
  }
}

function unicodeData(n: number): object {
  return { userId: 100_000 + n, greeting: 'Zdravo, ćao, grüß dich', city: '東京都港区' }
}

function line(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}

function bestNs(run: () => unknown, rounds: number, roundMs: number): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    let calls = 0
    const start = performance.now()
    let end = start
    do {
      for (let k = 0; k < 100; k++) run()
      calls += 100
      end = performance.now()
    } while (end - start < roundMs)
    best = Math.min(best, ((end - start) * 1e6) / calls)
  }
  return best
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [rounds, roundMs] = process.argv.includes('--tiny') ? [1, 1] : [7, 300]
  console.table(
    runScanBench(rounds, roundMs).map((timing) => ({
      ...timing,
      scanNs: Number(timing.scanNs.toFixed(1)),
      parseNs: Number(timing.parseNs.toFixed(1)),
    })),
  )
  console.log(`peek of a PUSH: ${runPeekBench(rounds, roundMs).toFixed(1)} ns`)
}
