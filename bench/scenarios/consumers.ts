// Jobs pushed one by one to consumers that already wait: throughput as fast as it goes, then the time from push to delivery at
// fixed rates. beanstalkd, where it runs, gets the same load from the same client.

import type { LoadResult, WireName } from '../load/spec.ts'
import { nativePeersOrSkip } from '../peers/available.ts'
import { startBeanstalkd } from '../servers/beanstalkd.ts'
import type { Server } from '../servers/server.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, type Side, timed } from './compare.ts'

const producers = 16
const consumerCount = 32

export const consumers: Scenario = {
  name: 'consumers',
  peer: false,
  foreign: true,
  run: async (bench) => {
    const peers = nativePeersOrSkip(bench, 'consumers', 'against beanstalkd')
    const beanstalkd =
      peers === undefined ? [] : [startBeanstalkd(peers.beanstalkd, peers.libraries)]
    await withServers([bench.startServer(1), ...beanstalkd], async ([server, peer]) => {
      await throughput(bench, server, peer)
      for (const rate of bench.mode.latencyRates) await latency(bench, rate, server, peer)
    })
  },
}

async function throughput(bench: Bench, server: Server, peer: Server | undefined): Promise<void> {
  const side = (name: string, wire: WireName, at: Server): Side => ({
    name,
    server: at,
    slices: async () => [await timed(at, () => relay(bench, wire, at, undefined))],
  })
  const sides = [side('FlashQ', 'flashq', server)]
  if (peer !== undefined) sides.push(side('beanstalkd', 'beanstalkd', peer))
  const [measured] = await inTurn(bench.mode.rounds, sides)
  addComparison(bench, {
    scenario: 'consumers',
    what: `single push, waiting pull, ack: ${producers} producers, ${consumerCount} consumers, 1 worker`,
    sides: measured,
  })
}

async function latency(
  bench: Bench,
  rate: number,
  server: Server,
  peer: Server | undefined,
): Promise<void> {
  // Warms both, and is not kept.
  await relay(bench, 'flashq', server, rate, bench.mode.latencyMs / 5)
  const ours = await relay(bench, 'flashq', server, rate)
  const theirs = peer === undefined ? undefined : await relay(bench, 'beanstalkd', peer, rate)
  const note = `p99.9 ${fixed(ours.latencyMs?.p999)}, max ${fixed(ours.latencyMs?.max)} ms; the sender itself was late by p99 ${fixed(ours.lateMs?.p99)} ms`
  for (const which of ['p50', 'p99'] as const) {
    const value = ours.latencyMs?.[which] ?? Number.NaN
    const other = theirs?.latencyMs?.[which]
    bench.report.add({
      scenario: 'consumers',
      what: `push -> delivery at ${rate}/s, ${which}, ${consumerCount} waiting consumers, 1 worker`,
      value,
      unit: 'ms',
      ...(other === undefined
        ? {}
        : { against: { name: 'beanstalkd', value: other }, ratio: value / other }),
      ...(which === 'p99' ? { note } : {}),
    })
    bench.log(
      `  latency at ${rate}/s ${which}: ${fixed(value)} ms${other === undefined ? '' : ` against ${fixed(other)} ms`}`,
    )
  }
}

function relay(
  bench: Bench,
  wire: WireName,
  server: Server,
  rate: number | undefined,
  measureMs?: number,
): Promise<LoadResult> {
  return bench.load.run({
    kind: 'relay',
    wire,
    at: server.at,
    queue: bench.newQueue('relay'),
    producers,
    consumers: consumerCount,
    dataBytes: standard.dataBytes,
    warmupMs: bench.mode.warmupMs,
    measureMs: measureMs ?? (rate === undefined ? bench.mode.sliceMs : bench.mode.latencyMs),
    ...(rate === undefined ? {} : { ratePerSecond: rate }),
  })
}

function fixed(value: number | undefined): string {
  return value === undefined ? '?' : value.toFixed(2)
}
