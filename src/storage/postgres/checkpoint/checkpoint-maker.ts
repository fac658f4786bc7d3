// Makes checkpoints, one after another, over a session of its own. In production it lives in checkpoint-thread.ts.

import { Restore } from '../../../engine/restore.ts'
import { jobRows, metaOf } from '../../../engine/snapshot.ts'
import type { CheckpointMade } from '../../../engine/storage-port.ts'
import { RecordBatchReader } from '../../record-batch.ts'
import { Connection } from '../connection.ts'
import type { Fence } from './fence.ts'
import { type Rebuilt, writeCheckpoint } from './write-checkpoint.ts'

/** Plain values: they are handed to a thread. */
export interface CheckpointSettings {
  readonly url: string
  readonly schema: string
  /** The worker's, so that whoever takes its shards ends this session with the others. */
  readonly applicationName: string
  /** 0 = finished jobs are not kept. */
  readonly historyDays: number
}

const CONNECT_TIMEOUT_MS = 5000
/** Of everything but COPY, which may take any time as long as it moves: a commit of some gigabytes above all. */
const STATEMENT_TIMEOUT_MS = 120_000
const LOCK_TIMEOUT_MS = 2000
const CLOSE_MS = 500

export class CheckpointMaker {
  private readonly settings: CheckpointSettings
  private readonly connection: Connection

  constructor(settings: CheckpointSettings) {
    this.settings = settings
    this.connection = new Connection({
      url: settings.url,
      schema: settings.schema,
      applicationName: settings.applicationName,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      answerTimeoutMs: STATEMENT_TIMEOUT_MS + CONNECT_TIMEOUT_MS,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      lockTimeoutMs: LOCK_TIMEOUT_MS,
      synchronousCommit: 'on',
    })
  }

  checkpoint(fence: Fence, covered: number): Promise<CheckpointMade | 'fenced'> {
    const { schema, historyDays } = this.settings
    return writeCheckpoint(this.connection, schema, fence, covered, {
      rebuild: rebuiltShard,
      historyDays,
    })
  }

  /** What is under way is rolled back. */
  async stop(): Promise<void> {
    this.connection.drop()
    await this.connection.close(CLOSE_MS)
  }
}

/** An empty one, for what was stored of it. */
export function rebuiltShard(shard: number): Rebuilt {
  const restore = new Restore(shard, eachRecord)
  return {
    reader: restore,
    meta: () => metaOf(restore.state),
    rows: () => jobRows(restore.state),
  }
}

function eachRecord(bytes: Buffer, each: (record: Buffer) => void): void {
  const records = new RecordBatchReader(bytes)
  for (let record = records.next(); record !== null; record = records.next()) each(record)
}
