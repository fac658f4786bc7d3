import { randomUUID } from 'node:crypto'
import { CheckpointMaker } from '../../src/storage/postgres/checkpoint/checkpoint-maker.ts'
import { applicationName } from '../../src/storage/postgres/claiming.ts'
import { StorageBench } from '../support/storage-bench.ts'
import { type StorageUnderTest, storageContract } from './storage.ts'

storageContract('the storage in PostgreSQL', async (): Promise<StorageUnderTest> => {
  const bench = await StorageBench.onShared()
  const { url, schema } = bench.database
  return {
    async node() {
      const node = await bench.node()
      return {
        worker() {
          const owner = randomUUID()
          // Production has it in a thread.
          const checkpoints = new CheckpointMaker({
            url,
            schema,
            applicationName: applicationName(owner),
            historyDays: 7,
          })
          return bench.worker(node, { owner, checkpoints })
        },
        async end() {
          await bench.sql(
            `update ${schema}.node set expires_at = clock_timestamp() - interval '1 ms' where node = $1`,
            [node],
          )
        },
      }
    },
    async damage(shard, position) {
      await bench.sql(
        `update ${schema}.journal set records = set_byte(records, 40, get_byte(records, 40) # 4)
         where slot in ($1, $2) and position = $3`,
        [shard * 2, shard * 2 + 1, position],
      )
    },
    stop: () => bench.close(),
  }
})
