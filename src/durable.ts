// With DATABASE_URL: what the primary and the workers have besides, wired. The other half of the composition root.
//
//   primary   [embedded PostgreSQL] ── membership: schema, this node's lease ──▶ workers: FLASHQ_NODE, DATABASE_URL, lease
//   worker    storage ◀── journal and checkpoints per shard ◀── shard-keeper ── runs ──▶ shard-runner

import { randomUUID } from 'node:crypto'
import type { ReplyHold } from './cluster/reply-hold.ts'
import { type LogListener, type OwnedLog, ShardKeeper } from './cluster/shard-keeper.ts'
import type { ShardRunner } from './cluster/shard-runner.ts'
import type { WorkerDurable } from './cluster/worker.ts'
import { type Config, EMBEDDED } from './config.ts'
import type { Clock } from './engine/ports.ts'
import { type Claim, type Loaded, StorageFault } from './engine/storage-port.ts'
import type { Guards } from './failpoints.ts'
import type { Logger } from './logger.ts'
import { Backlog } from './storage/backlog.ts'
import { Checkpoints } from './storage/checkpoints.ts'
import { timerDelay } from './storage/delay.ts'
import { startEmbedded } from './storage/embedded/launcher.ts'
import { Journal } from './storage/journal.ts'
import { MeasuredAppends } from './storage/measured-appends.ts'
import { CheckpointWorker } from './storage/postgres/checkpoint/checkpoint-worker.ts'
import { HistoryCleaner } from './storage/postgres/checkpoint/history-cleaner.ts'
import { applicationName } from './storage/postgres/claiming.ts'
import { Membership } from './storage/postgres/membership.ts'
import { PostgresStorage } from './storage/postgres/postgres-storage.ts'
import { readRecordBatch } from './storage/record-batch.ts'
import { StoreAccount, type StoreFigures } from './storage/store-figures.ts'
import { version } from './version.ts'

/** What the workers of a durable node find in their environment. */
export interface DurableNode {
  readonly environment: { readonly DATABASE_URL: string; readonly FLASHQ_NODE: string }
  stop(): Promise<void>
}

export interface NodeListener {
  /** No other node takes this one's shards until then, on the system's monotonic clock in ms. */
  onLease(untilMs: number): void
  /** Another node may have let shards go. */
  onWake(): void
}

/** Rejects when there is no database to be had; then the server must not run. */
export async function startDurableNode(
  config: Config,
  log: Logger,
  listener: NodeListener,
): Promise<DurableNode> {
  const isEmbedded = config.databaseUrl === EMBEDDED
  const embedded = isEmbedded ? await startEmbedded({ dataDir: config.dataDir, log }) : null
  const url = embedded?.url ?? config.databaseUrl ?? ''
  const node = randomUUID()
  const membership = new Membership({
    url,
    schema: config.databaseSchema,
    node,
    version,
    startTimeoutMs: config.databaseStartTimeoutMs,
    log,
    onLease: (untilMs) => listener.onLease(Math.floor(untilMs)),
    onLeaseLost: () => log.warn({}, 'the lease of this node has run out: reads are refused'),
  })
  const history = new HistoryCleaner({
    url,
    schema: config.databaseSchema,
    applicationName: applicationName(node),
    historyDays: config.historyDays,
    log,
  })
  try {
    await membership.start()
  } catch (error) {
    await embedded?.stop()
    throw error
  }
  history.start()
  membership.onWake(() => listener.onWake())
  return {
    environment: { DATABASE_URL: url, FLASHQ_NODE: node },
    async stop() {
      await history.stop()
      await membership.stop()
      await embedded?.stop()
    },
  }
}

/** What a worker has besides, and what it comes to. */
export interface MeasuredDurable extends WorkerDurable {
  figures(): StoreFigures
}

export function durableWorker(
  config: Config,
  clock: Clock,
  log: Logger,
  runner: () => ShardRunner,
  guards: Guards | null,
): MeasuredDurable {
  const url = config.databaseUrl ?? ''
  const schema = config.databaseSchema
  const owner = randomUUID()
  const node = process.env['FLASHQ_NODE'] ?? ''
  const postgres = new PostgresStorage({
    url,
    schema,
    durability: config.durability,
    node,
    owner,
    connections: config.databaseConnections,
    checkpoints: new CheckpointWorker({
      url,
      schema,
      applicationName: applicationName(owner),
      historyDays: config.historyDays,
    }),
  })
  const storage = guards?.storage(postgres) ?? postgres
  let keeper: ShardKeeper | null = null
  const pending = new Backlog(config.journalBacklogBytes)
  const appends = new MeasuredAppends(storage)
  const account = new StoreAccount(appends, pending, () => clock.nowMs())
  const checkpoints = new Checkpoints({
    storage,
    bytesMin: config.checkpointBytes,
    delay: timerDelay,
    random: Math.random,
    listener: {
      checkpointMade(shard, made) {
        account.checkpointMade(shard)
        log.debug({ shard, ...made }, 'checkpoint')
      },
      checkpointFailed(shard, fault) {
        account.checkpointFailures++
        log.warn({ shard, err: fault }, 'a checkpoint failed: tried again later')
      },
    },
  })

  return {
    waits: config.durability === 'sync',
    figures: () => account.figures(),
    async start() {
      // A worker that starts while the database is away is there when it comes back: claims are tried again.
      await storage.start().catch((fault: unknown) => {
        if (!(fault instanceof StorageFault) || !fault.retryable) throw fault
        log.warn({ err: fault }, 'the database can not be reached: shards are claimed when it can')
      })
    },
    async stop() {
      await Promise.all([checkpoints.stop(), storage.stop()])
    },
    reserve: (shard) => keeper?.reserve(shard),
    makeKeeper(hold: ReplyHold, hooks) {
      keeper = new ShardKeeper({
        ...hooks,
        storage,
        runner: runner(),
        hold,
        clock,
        log,
        pending,
        openLog: (claim, loaded, listener) =>
          openLog({ appends, pending, checkpoints, account }, claim, loaded, listener),
        decodeBatch: readRecordBatch,
      })
      return keeper
    },
  }
}

interface Written {
  readonly appends: MeasuredAppends
  readonly account: StoreAccount
  readonly pending: Backlog
  readonly checkpoints: Checkpoints
}

/** The journal of one shard, and its checkpoints, as the keeper knows them. */
function openLog(
  { appends, pending, checkpoints, account }: Written,
  claim: Claim,
  loaded: Loaded,
  listener: LogListener,
): OwnedLog {
  const { shard } = claim
  const journal = new Journal({
    claim,
    storage: appends,
    loaded,
    backlog: pending,
    delay: timerDelay,
    random: Math.random,
    listener: {
      durable: () => {
        listener.durable()
        checkpoints.look(shard)
      },
      stalled() {
        account.setStalled(shard, true)
        listener.stalled()
      },
      resumed() {
        account.setStalled(shard, false)
        listener.resumed()
      },
      fenced: () => listener.fenced(),
      failed: (_shard, fault, isFound) => listener.failed(fault, isFound),
      ended() {
        account.ended(shard)
        checkpoints.remove(shard)
      },
    },
  })
  account.opened(journal)
  checkpoints.add(journal, loaded)
  return journal
}
