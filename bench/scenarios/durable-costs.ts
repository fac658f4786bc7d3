// What a job costs besides time: CPU of PostgreSQL, CPU of the product's own processes, bytes of write-ahead log.

import { median } from '../load/percentiles.ts'
import type { Postgres } from '../servers/postgres.ts'
import type { Usage } from '../servers/usage.ts'

export interface Reading {
  databaseCpuMs: number
  ownCpuMs: number
  walBytes: number
}

/** Of one job: µs and bytes. */
export interface Cost {
  databaseCpuUs: number
  ownCpuUs: number
  walBytes: number
}

export async function readCosts(
  postgres: Postgres,
  own: () => Usage | undefined,
): Promise<Reading> {
  return {
    databaseCpuMs: postgres.usage()?.cpuMs ?? Number.NaN,
    ownCpuMs: own()?.cpuMs ?? Number.NaN,
    walBytes: await postgres.walBytes(),
  }
}

export function costOf(before: Reading, after: Reading, jobs: number): Cost {
  return {
    databaseCpuUs: ((after.databaseCpuMs - before.databaseCpuMs) * 1000) / jobs,
    ownCpuUs: ((after.ownCpuMs - before.ownCpuMs) * 1000) / jobs,
    walBytes: (after.walBytes - before.walBytes) / jobs,
  }
}

/** Of a job that goes through both. */
export function sumOf(one: Cost, other: Cost): Cost {
  return {
    databaseCpuUs: one.databaseCpuUs + other.databaseCpuUs,
    ownCpuUs: one.ownCpuUs + other.ownCpuUs,
    walBytes: one.walBytes + other.walBytes,
  }
}

/** Of each figure by itself. */
export function medianCost(costs: readonly Cost[]): Cost {
  return {
    databaseCpuUs: median(costs.map((cost) => cost.databaseCpuUs)),
    ownCpuUs: median(costs.map((cost) => cost.ownCpuUs)),
    walBytes: median(costs.map((cost) => cost.walBytes)),
  }
}
