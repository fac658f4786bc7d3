// Jobs pushed one by one at 1,000 a second to consumers that wait: the time from push to delivery, stored in between.
//
// The sender is not slowed down by replies: what a product can't keep up with waits, and its waiting counts.

import { median } from '../load/percentiles.ts'
import type { Percentiles } from '../load/spec.ts'
import type { Row } from '../report/row.ts'
import type { Server } from '../servers/server.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { type Peer, withStage } from './durable-stage.ts'

const name = 'durable-latency'
const ratePerSecond = 1000
const producers = 16
const consumers = 32

/** Of one round. */
interface Delivered {
  latencyMs: Percentiles
  missing: number
}

interface Side {
  name: string
  run: () => Promise<Delivered>
}

export const durableLatency: Scenario = {
  name,
  peer: false,
  foreign: false,
  run: (bench) =>
    withStage(bench, name, true, (stage) =>
      withServers([stage.startFlashQ('sync'), stage.startFlashQ('async')], async (servers) => {
        const [sync, async] = servers
        const sides = [
          ourSide(bench, 'FlashQ sync', sync),
          ourSide(bench, 'FlashQ async', async),
          ...stage.peers.map((peer) => peerSide(bench, peer)),
        ]
        const rounds = sides.map((): Delivered[] => [])
        for (let round = -1; round < bench.mode.durable.latencyRounds; round++)
          for (const [index, side] of sides.entries()) {
            const delivered = await side.run()
            if (round >= 0) rounds[index]?.push(delivered)
          }
        for (const which of ['p50', 'p99'] as const) report(bench, which, sides, rounds)
      }),
    ),
}

function ourSide(bench: Bench, side: string, server: Server): Side {
  const run = async () => {
    const { latencyMs } = await bench.load.run({
      kind: 'relay',
      wire: 'flashq',
      at: server.at,
      queue: bench.newQueue('latency'),
      producers,
      consumers,
      dataBytes: standard.dataBytes,
      warmupMs: bench.mode.warmupMs,
      measureMs: bench.mode.latencyMs,
      ratePerSecond,
    })
    if (latencyMs === undefined) throw new Error('the load process told no latencies')
    return { latencyMs, missing: 0 }
  }
  return { name: side, run }
}

function peerSide(bench: Bench, { name: side, url, driver }: Peer): Side {
  const run = async () => {
    const { latencyMs, missing = 0 } = await driver.run({
      op: 'relay',
      url,
      queue: bench.newQueue('latency'),
      ratePerSecond,
      dataBytes: standard.dataBytes,
      warmupMs: bench.mode.warmupMs,
      measureMs: bench.mode.latencyMs,
    })
    await driver.run({ op: 'reset', url })
    if (latencyMs === undefined) throw new Error(`the driver of ${side} told no latencies`)
    return { latencyMs, missing }
  }
  return { name: side, run }
}

function report(
  bench: Bench,
  which: 'p50' | 'p99',
  sides: readonly Side[],
  rounds: readonly Delivered[][],
): void {
  const values = rounds.map((all) => median(all.map(({ latencyMs }) => latencyMs[which])))
  const what = `durable: push -> delivery at ${ratePerSecond}/s, ${which}, ${consumers} waiting consumers, 1 worker`
  const [ours = Number.NaN] = values
  const row: Row = { scenario: name, what, value: ours, unit: 'ms' }
  const others = sides.slice(1)
  for (const [index, side] of others.entries()) {
    const against = { name: side.name, value: values[index + 1] ?? Number.NaN }
    const missing = Math.max(...(rounds[index + 1] ?? []).map((one) => one.missing))
    bench.report.add({
      ...row,
      against,
      ratio: ours / against.value,
      ...(missing > 0
        ? { note: `${side.name} did not keep up: up to ${missing} jobs had not come 3 s later` }
        : {}),
    })
    bench.log(`  ${which}: ${ours.toFixed(2)} ms, ${against.value.toFixed(2)} ms ${side.name}`)
  }
}
