import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts'
import { MemoryStore } from '../../src/storage/memory/memory-store.ts'
import { type StorageUnderTest, storageContract } from './storage.ts'

storageContract('the storage in memory', async (): Promise<StorageUnderTest> => {
  const store = new MemoryStore()
  let nodes = 0
  let workers = 0
  return {
    async node() {
      const node = `node ${nodes++}`
      return {
        async worker() {
          const storage = new MemoryStorage(store, { owner: `worker ${workers++}`, node })
          await storage.start()
          return storage
        },
        async end() {
          store.endedNodes.add(node)
        },
      }
    },
    async damage(shard, position) {
      for (const side of store.shard(shard).sides) {
        const bytes = side.get(position)?.bytes
        if (bytes !== undefined) bytes[40] = (bytes[40] as number) ^ 4
      }
    },
    async stop() {},
  }
})
