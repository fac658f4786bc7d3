// A peer's batches against ours, in turn: push for a time, then take and acknowledge with a result per job.
//
// Equal work: both sides keep everything in memory, store a result for each job, and have their events on. FlashQ sends each
// event of the queue to one subscriber connection, which reads it; what the peer does is in `said`.

import { setTimeout as sleep } from 'node:timers/promises'
import type { PeerResult, PeerSpec } from '../peers/spec.ts'
import type { Driver } from '../servers/driver.ts'
import type { Server } from '../servers/server.ts'
import { pushAndDrain } from './batch.ts'
import { type Bench, standard } from './bench.ts'
import { type Side, type Slice, timed } from './compare.ts'

const subscribeMs = 100
const concurrency = 100
const sliceMsMin = 1000

export function ourSide(bench: Bench, server: Server): Side {
  const slices = async (): Promise<Slice[]> => {
    let subscriber: { stop: () => Promise<unknown> } | undefined
    const prepare = async (queues: readonly string[]) => {
      subscriber = bench.probe.begin({ kind: 'subscribe', at: server.at, queues: [...queues] })
      await sleep(subscribeMs)
    }
    const done = await pushAndDrain(bench, server, {
      queues: 1,
      dataBytes: standard.dataBytes,
      results: true,
      prepare,
    })
    await subscriber?.stop()
    return done
  }
  return { name: 'FlashQ', server, slices }
}

/** `jobsPerRound` bounds what is taken in a round; the rest is thrown away by a reset. */
export function peerSide(
  bench: Bench,
  name: string,
  server: Server,
  driver: Driver<PeerSpec, PeerResult>,
  jobsPerRound: number,
): Side {
  const url = `tcp://${server.at.host}:${server.at.port}`
  // A batch of a peer may take a fifth of a second, so its slices are never short.
  const measureMs = Math.max(bench.mode.sliceMs, sliceMsMin)
  const { connections, batch, dataBytes } = standard
  const slices = async (): Promise<Slice[]> => {
    const queue = bench.newQueue(name.toLowerCase().replace(/[^a-z]/g, ''))
    const pushed = await timed(server, () =>
      driver.run({
        op: 'push',
        url,
        queue,
        connections,
        batch,
        dataBytes,
        measureMs,
      }),
    )
    const jobs = Math.floor(Math.min(pushed.jobs, jobsPerRound) / batch) * batch
    const taken = await timed(server, () =>
      driver.run({ op: 'take', url, queue, connections, batch, concurrency, jobs }),
    )
    await driver.run({ op: 'reset', url })
    return [pushed, taken]
  }
  return { name, server, slices }
}
