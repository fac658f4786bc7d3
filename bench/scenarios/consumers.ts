// Jobs pushed one by one to consumers that already wait: throughput as fast as it goes, then the time from push to delivery at
// fixed rates. beanstalkd, where it runs, gets the same load from the same client.

import { median } from '../load/percentiles.ts'
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

/** The sides are taken in turn; figures are medians of the rounds, the worst of them is in `said`. */
async function latency(
  bench: Bench,
  rate: number,
  server: Server,
  peer: Server | undefined,
): Promise<void> {
  const ours: LoadResult[] = []
  const theirs: LoadResult[] = []
  for (let round = 0; round < bench.mode.latencyRounds; round++) {
    ours.push(await relay(bench, 'flashq', server, rate))
    if (peer !== undefined) theirs.push(await relay(bench, 'beanstalkd', peer, rate))
  }
  const worst = (of: (result: LoadResult) => number | undefined) =>
    Math.max(...ours.map((result) => of(result) ?? Number.NaN)).toFixed(2)
  const note = `worst round: p99.9 ${worst((r) => r.latencyMs?.p999)}, max ${worst((r) => r.latencyMs?.max)} ms; the sender itself was late by p99 ${worst((r) => r.lateMs?.p99)} ms`
  for (const which of ['p50', 'p99'] as const) {
    const mine = ours.map((result) => result.latencyMs?.[which] ?? Number.NaN)
    const others = theirs.map((result) => result.latencyMs?.[which] ?? Number.NaN)
    const against = { name: 'beanstalkd', value: median(others) }
    const ratio = median(mine.map((value, i) => value / (others[i] ?? Number.NaN)))
    bench.report.add({
      scenario: 'consumers',
      what: `push -> delivery at ${rate}/s, ${which}, ${consumerCount} waiting consumers, 1 worker`,
      value: median(mine),
      unit: 'ms',
      ...(theirs.length === 0 ? {} : { against, ratio }),
      ...(which === 'p99' ? { note } : {}),
    })
    const than = theirs.length === 0 ? '' : ` against ${against.value.toFixed(2)} ms`
    bench.log(`  latency at ${rate}/s ${which}: ${median(mine).toFixed(2)} ms${than}`)
  }
}

function relay(
  bench: Bench,
  wire: WireName,
  server: Server,
  ratePerSecond: number | undefined,
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
    measureMs: ratePerSecond === undefined ? bench.mode.sliceMs : bench.mode.latencyMs,
    ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
  })
}
