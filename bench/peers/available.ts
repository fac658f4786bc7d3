// The installed peers for scenarios that compare with them, or a line in the report that says why not.

import { fileURLToPath } from 'node:url'
import type { Bench } from '../scenarios/bench.ts'
import {
  type NativePeers,
  type NpmPeers,
  nativePeers,
  npmPeers,
  type PostgresPeers,
  postgresPeers,
} from './install.ts'

/** Git ignores it. Bench code runs from `dist-bench/`. */
const cache = fileURLToPath(new URL('../../bench/.cache', import.meta.url))

export function nativePeersOrSkip(
  bench: Bench,
  scenario: string,
  what: string,
): NativePeers | undefined {
  if (!bench.mode.peers) return undefined
  const found = nativePeers(cache)
  if (found.ok) return found.peer
  bench.report.skip(scenario, what, found.reason)
  return undefined
}

export function npmPeersOrSkip(bench: Bench, scenario: string, what: string): NpmPeers | undefined {
  if (!bench.mode.peers) return undefined
  const found = npmPeers(cache)
  if (found.ok) return found.peer
  bench.report.skip(scenario, what, found.reason)
  return undefined
}

export function postgresPeersOrSkip(
  bench: Bench,
  scenario: string,
  what: string,
): PostgresPeers | undefined {
  if (!bench.mode.peers) return undefined
  const found = postgresPeers(cache)
  if (found.ok) return found.peer
  bench.report.skip(scenario, what, found.reason)
  return undefined
}
