// DATABASE_URL=embedded: a private PostgreSQL that starts and ends with the server. Files below DATA_DIR/postgres.
//
//   settle what was left behind ──▶ make a cluster, once ──▶ start ──▶ (dies ──▶ start again)* ──▶ stop
//
// 1. One server per data directory; a second one is refused.
// 2. Its URL is the same from the first start to the stop, also when PostgreSQL dies and is started again meanwhile.
// 3. It never outlives the server: `stop` ends it, and the watchdog (`postmaster.ts`) does when nobody could call `stop`.

import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { StorageFault } from '../../engine/storage-port.ts'
import { accountFor } from './account.ts'
import { installedBinaries, usableBinaries } from './binaries.ts'
import { prepareCluster, refuseUnreachable } from './cluster.ts'
import { Postmaster } from './postmaster.ts'
import type { EmbeddedLog } from './postmaster-log.ts'
import { settlePrevious } from './previous.ts'
import { RunFolder } from './run-folder.ts'

export interface EmbeddedOptions {
  /** DATA_DIR: made if it is not there. */
  readonly dataDir: string
  readonly log: EmbeddedLog
  /** Of PostgreSQL, by name; over ours. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface Embedded {
  readonly url: string
  /** Resolves when PostgreSQL has ended and its files are consistent. May be called again. */
  stop(): Promise<void>
}

const RESTART_DELAY_MS_FIRST = 250
const RESTART_DELAY_MS_MAX = 10_000
/** A life this long was no crash loop. */
const STEADY_MS = 30_000

/** Rejects with a StorageFault whose text tells what to do. */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { postmaster, runFolder } = await prepareEmbedded(options)
  try {
    await postmaster.start()
  } catch (error) {
    await runFolder.remove()
    throw error
  }
  options.log.info(
    { postgresPid: postmaster.pid, socketFolder: runFolder.path },
    'PostgreSQL started',
  )
  const ending = new AbortController()
  keepRunning(postmaster, options.log, ending.signal)
  let stopped: Promise<void> | null = null
  const stop = async (): Promise<void> => {
    ending.abort()
    await postmaster.stop('fast')
    await runFolder.remove()
  }
  return {
    url: runFolder.url,
    stop: () => {
      stopped ??= stop()
      return stopped
    },
  }
}

export interface Prepared {
  /** Not started yet; whoever starts it, stops it, and removes the run folder after that. */
  readonly postmaster: Postmaster
  readonly runFolder: RunFolder
}

export async function prepareEmbedded(options: EmbeddedOptions): Promise<Prepared> {
  try {
    return await prepare(resolve(options.dataDir), options)
  } catch (error) {
    if (error instanceof StorageFault) throw error
    const text = `cannot prepare PostgreSQL in ${options.dataDir}: ${(error as Error).message}`
    throw new StorageFault('embedded_failed', text, false, error)
  }
}

async function prepare(dataDir: string, options: EmbeddedOptions): Promise<Prepared> {
  const { log, settings = {} } = options
  mkdirSync(dataDir, { recursive: true })
  const cluster = join(dataDir, 'postgres')
  const account = accountFor(cluster)
  refuseUnreachable(cluster, account)
  await settlePrevious(cluster, log)
  const binaries = usableBinaries(installedBinaries(), account, dataDir)
  await prepareCluster(cluster, binaries, account, log)
  const runFolder = await RunFolder.make(account)
  const postmaster = new Postmaster({ binaries, account, cluster, runFolder, log, settings })
  return { postmaster, runFolder }
}

/** Starts it again whenever it dies: at once, then slower while its lives are short. */
function keepRunning(postmaster: Postmaster, log: EmbeddedLog, ending: AbortSignal): void {
  let startedMs = performance.now()
  let delayMs = 0
  const revive = async (): Promise<void> => {
    while (!ending.aborted) {
      const wasSteady = performance.now() - startedMs > STEADY_MS
      delayMs = wasSteady ? 0 : delayMs
      log.error({ delayMs }, 'PostgreSQL died and is started again')
      await sleep(delayMs, undefined, { signal: ending }).catch(() => undefined)
      if (ending.aborted) return
      delayMs = Math.min(RESTART_DELAY_MS_MAX, Math.max(RESTART_DELAY_MS_FIRST, delayMs * 2))
      startedMs = performance.now()
      try {
        await postmaster.start()
        log.info({}, 'PostgreSQL runs again')
        return
      } catch (error) {
        if (!ending.aborted) log.error({ err: error }, 'PostgreSQL does not start')
      }
    }
  }
  postmaster.onDeath = () => void revive()
}
