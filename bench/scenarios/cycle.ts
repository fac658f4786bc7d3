// Push, pull, acknowledge, one by one: the whole life of a job with no batch to hide behind, against beanstalkd in
// memory mode. Both are driven by the same thin client (`load/cycle.ts`), which only differs in the bytes it writes.

import type { WireName } from '../load/spec.ts'
import { nativePeersOrSkip } from '../peers/available.ts'
import { startBeanstalkd } from '../servers/beanstalkd.ts'
import type { Server } from '../servers/server.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast, type Side, timed } from './compare.ts'

interface Variant {
  connections: number
  hot: boolean
  /** Undefined is the product's default. */
  workers: number | undefined
}

const variants: Variant[] = [
  { connections: 1, hot: false, workers: 1 },
  { connections: 64, hot: false, workers: 1 },
  { connections: 64, hot: true, workers: 1 },
  { connections: 1, hot: false, workers: undefined },
  { connections: 64, hot: false, workers: undefined },
]

export const cycle: Scenario = {
  name: 'cycle',
  peer: false,
  foreign: true,
  run: async (bench) => {
    const peers = nativePeersOrSkip(bench, 'cycle', 'against beanstalkd')
    for (const variant of variants) {
      if (bench.foreign && variant.workers === undefined) continue
      const ours = [
        bench.startServer(variant.workers),
        bench.startEcho(standard.dataBytes),
      ] as const
      const theirs = peers === undefined ? [] : [startBeanstalkd(peers.beanstalkd, peers.libraries)]
      await withServers([...ours, ...theirs], async ([server, echo, peer]) => {
        const sides = [sideOf(bench, 'FlashQ', 'flashq', server, variant)]
        if (peer !== undefined) sides.push(sideOf(bench, 'beanstalkd', 'beanstalkd', peer, variant))
        sides.push(sideOf(bench, 'echo', 'flashq', echo, variant))
        const [measured = []] = await inTurn(Math.ceil(bench.mode.rounds / 1.5), sides)
        const ceiling = measured.at(-1)?.perSecond ?? Number.NaN
        addComparison(bench, {
          scenario: 'cycle',
          what: describe(variant),
          sides: measured,
          note: `the echo ceiling in the same rounds: ${(ceiling / 1000).toFixed(1)} k/s`,
          // The bar is about queues that do not contend; the hot one is shown beside it.
          ...(variant.hot || peer === undefined ? {} : { bar: ratioAtLeast(0.8, 1.5) }),
        })
      })
    }
  },
}

function sideOf(
  bench: Bench,
  name: string,
  wire: WireName,
  server: Server,
  variant: Variant,
): Side {
  const slice = () => {
    const queues = Array.from({ length: variant.hot ? 1 : variant.connections }, () =>
      bench.newQueue('cycle'),
    )
    return bench.load.run({
      kind: 'cycle',
      wire,
      at: server.at,
      queues,
      connections: variant.connections,
      dataBytes: standard.dataBytes,
      warmupMs: bench.mode.warmupMs,
      measureMs: bench.mode.sliceMs,
    })
  }
  return { name, server, slices: async () => [await timed(server, slice)] }
}

function describe({ connections, hot, workers }: Variant): string {
  const who =
    connections === 1
      ? '1 connection'
      : `${connections} connections, ${hot ? 'one hot queue' : 'a queue each'}`
  return `push -> pull -> ack one by one, ${who}, ${workers === undefined ? 'default workers' : `${workers} worker`}`
}
