// The installed peers for scenarios that compare with them, or a line in the report that says why not.

import { fileURLToPath } from 'node:url'
import type { Bench } from '../scenarios/bench.ts'
import {
  type Installed,
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
  return orSkip(bench, scenario, what, nativePeers)
}

export function npmPeersOrSkip(bench: Bench, scenario: string, what: string): NpmPeers | undefined {
  return orSkip(bench, scenario, what, npmPeers)
}

export function postgresPeersOrSkip(
  bench: Bench,
  scenario: string,
  what: string,
): PostgresPeers | undefined {
  return orSkip(bench, scenario, what, postgresPeers)
}

function orSkip<Peers>(
  bench: Bench,
  scenario: string,
  what: string,
  install: (cache: string) => Installed<Peers>,
): Peers | undefined {
  if (!bench.mode.peers) return undefined
  const found = install(cache)
  if (found.ok) return found.peer
  bench.report.skip(scenario, what, found.reason)
  return undefined
}
