import { randomUUID } from 'node:crypto'
import type { Storage } from '../../src/engine/storage-port.ts'
import { CheckpointMaker } from '../../src/storage/postgres/checkpoint/checkpoint-maker.ts'
import { applicationName } from '../../src/storage/postgres/claiming.ts'
import { Connection } from '../../src/storage/postgres/connection.ts'
import { migrate } from '../../src/storage/postgres/migrate.ts'
import { PostgresStorage } from '../../src/storage/postgres/postgres-storage.ts'
import { openTestDatabase } from '../support/database.ts'
import { queryOnce } from '../support/own-postgres.ts'
import { type StorageUnderTest, storageContract } from './storage.ts'

storageContract('the storage in PostgreSQL', async (): Promise<StorageUnderTest> => {
  const database = await openTestDatabase()
  const { url, schema } = database
  const connection = new Connection({
    url,
    schema,
    applicationName: 'flashq:test',
    statementTimeoutMs: 30_000,
    answerTimeoutMs: 30_000,
    connectTimeoutMs: 5000,
    lockTimeoutMs: 0,
    synchronousCommit: 'on',
  })
  await migrate(connection, schema)
  return {
    async node() {
      const node = randomUUID()
      await connection.query(
        {
          name: '',
          text: `insert into ${schema}.node values ($1, clock_timestamp() + interval '1 hour', '', 0, '', '')`,
        },
        [node],
      )
      return {
        async worker(): Promise<Storage> {
          const owner = randomUUID()
          const storage = new PostgresStorage({
            url,
            schema,
            durability: 'sync',
            node,
            owner,
            connections: 2,
            checkpoints: new CheckpointMaker({
              url,
              schema,
              applicationName: applicationName(owner),
              historyDays: 7,
            }),
          })
          await storage.start()
          return storage
        },
        async end() {
          await connection.query(
            {
              name: '',
              text: `update ${schema}.node set expires_at = clock_timestamp() - interval '1 ms' where node = $1`,
            },
            [node],
          )
        },
      }
    },
    async damage(shard, position) {
      await queryOnce(
        url,
        `update ${schema}.journal set records = set_byte(records, 40, get_byte(records, 40) # 4) where slot in ($1, $2) and position = $3`,
        [shard * 2, shard * 2 + 1, position],
      )
    },
    async stop() {
      await connection.close()
      await database.drop()
    },
  }
})
