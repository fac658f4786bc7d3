// PUSHB and PULLB + ACKB against BullMQ on a Redis that keeps nothing on disk: addBulk x 1,000 on ten connections, and one
// Worker with concurrency 100.

import { fileURLToPath } from 'node:url'
import { nativePeersOrSkip, npmPeersOrSkip } from '../peers/available.ts'
import type { PeerResult, PeerSpec } from '../peers/spec.ts'
import { Driver } from '../servers/driver.ts'
import { startRedis } from '../servers/redis.ts'
import { type Scenario, withServers } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast } from './compare.ts'
import { ourSide, peerSide } from './peer-batches.ts'

const driverPath = fileURLToPath(new URL('../peers/bullmq-driver.js', import.meta.url))
const said =
  'results stored on both sides; events: BullMQ writes its stream (nobody reads), FlashQ sends each to a subscriber'

export const bullmq: Scenario = {
  name: 'bullmq',
  peer: true,
  foreign: true,
  run: async (bench) => {
    const native = nativePeersOrSkip(bench, 'bullmq', 'against BullMQ + Redis')
    const npm = npmPeersOrSkip(bench, 'bullmq', 'against BullMQ + Redis')
    if (native === undefined || npm === undefined) return
    const driver = new Driver<PeerSpec, PeerResult>('bullmq driver', process.execPath, [
      driverPath,
      npm.modules,
    ])
    try {
      await withServers(
        [bench.startServer(1), startRedis(native.redis, native.libraries)],
        async ([server, redis]) => {
          const sides = [
            ourSide(bench, server),
            peerSide(bench, 'BullMQ + Redis', redis, driver, bench.mode.peerJobs),
          ]
          const [push, take] = await inTurn(bench.mode.rounds, sides)
          addComparison(bench, {
            scenario: 'bullmq',
            what: 'PUSHB x 1,000 against addBulk x 1,000, 10 connections, 1 worker',
            sides: push,
            bar: ratioAtLeast(30, 60),
            note: said,
          })
          addComparison(bench, {
            scenario: 'bullmq',
            what: 'PULLB + ACKB against a Worker, concurrency 100, 1 worker',
            sides: take,
            bar: ratioAtLeast(15, 40),
            note: said,
          })
        },
      )
    } finally {
      await driver.end()
    }
  },
}
