// The same against bunqueue on Bun, through its own TCP client: PUSHB, PULLB and ACKB x 1,000 on ten connections.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { npmPeersOrSkip } from '../peers/available.ts'
import type { PeerResult, PeerSpec } from '../peers/spec.ts'
import { startBunqueue } from '../servers/bunqueue.ts'
import { Driver } from '../servers/driver.ts'
import { type Scenario, withServers } from './bench.ts'
import { addComparison, inTurn } from './compare.ts'
import { ourSide, peerSide } from './peer-batches.ts'

const driverPath = fileURLToPath(new URL('../peers/bunqueue-driver.js', import.meta.url))
const said =
  'results stored on both sides; events: bunqueue in memory only, FlashQ sends each to a subscriber'
/** It is faster than the peer that `peerJobs` is made for. */
const jobsFactor = 5

export const bunqueue: Scenario = {
  name: 'bunqueue',
  peer: true,
  foreign: true,
  run: async (bench) => {
    const npm = npmPeersOrSkip(bench, 'bunqueue', 'against bunqueue')
    if (npm === undefined) return
    if (!existsSync(npm.bun))
      return bench.report.skip(
        'bunqueue',
        'against bunqueue',
        `no Bun for this platform: ${npm.bun}`,
      )
    const driver = new Driver<PeerSpec, PeerResult>('bunqueue driver', npm.bun, [
      driverPath,
      npm.modules,
    ])
    try {
      await withServers(
        [bench.startServer(1), startBunqueue(npm.bun, npm.modules)],
        async ([server, peer]) => {
          const sides = [
            ourSide(bench, server),
            peerSide(bench, 'bunqueue', peer, driver, bench.mode.peerJobs * jobsFactor),
          ]
          const [push, take] = await inTurn(bench.mode.rounds, sides)
          addComparison(bench, {
            scenario: 'bunqueue',
            what: 'PUSHB x 1,000 against bunqueue PUSHB, 10 connections, 1 worker',
            sides: push,
            note: said,
          })
          addComparison(bench, {
            scenario: 'bunqueue',
            what: 'PULLB + ACKB x 1,000 against bunqueue PULLB + ACKB, 1 worker',
            sides: take,
            note: said,
          })
        },
      )
    } finally {
      await driver.end()
    }
  },
}
