import { describe, expect, it } from 'vitest'
import {
  readToPrimary,
  readToWorker,
  type ToPrimary,
  type ToWorker,
} from '../../../src/cluster/ipc.ts'

const toWorker: ToWorker[] = [
  {
    kind: 'table',
    version: 3,
    owners: [0, -1],
    epochs: [1, 2],
    incarnations: [1, 0],
    grants: [{ shard: 0, firstSeq: 5, reservedTo: 9 }],
  },
  { kind: 'open', ports: { tcp: 0, http: null, grpc: 0 } },
  { kind: 'release', count: 2 },
  { kind: 'adopt', holder: 2 ** 32 + 1 },
  { kind: 'evacuate' },
  { kind: 'lease', untilMs: 12 },
  { kind: 'wake' },
  { kind: 'drain' },
  { kind: 'exit' },
]

const toPrimary: ToPrimary[] = [
  { kind: 'linked' },
  { kind: 'applied', version: 1 },
  { kind: 'opened', ports: { tcp: 6789, http: 6790, grpc: null } },
  { kind: 'failed', text: 'no' },
  { kind: 'reserve', shard: 31 },
  { kind: 'released', shards: [1, 2] },
  { kind: 'serving', shards: [3] },
  { kind: 'move', to: 1, holder: 2 ** 32 + 1 },
  { kind: 'adopted', holder: 2 ** 32 + 1 },
  { kind: 'load', jobs: 0 },
  { kind: 'evacuated' },
  { kind: 'drained' },
  { kind: 'stop', restart: true },
]

describe('messages between primary and worker', () => {
  it('are read as they were sent', () => {
    for (const message of toWorker) expect(readToWorker(message)).toEqual(message)
    for (const message of toPrimary) expect(readToPrimary(message)).toEqual(message)
  })

  it('are refused when a field is missing or of the wrong shape', () => {
    for (const [messages, read] of [
      [toWorker, readToWorker],
      [toPrimary, readToPrimary],
    ] as const) {
      for (const message of messages) {
        for (const field of Object.keys(message)) {
          for (const bad of [undefined, null, -2.5, {}, [{}], ['x'], Symbol('true')]) {
            expect(read({ ...message, [field]: bad }), `${message.kind}.${field}`).toBeNull()
          }
        }
      }
    }
  })

  it('are refused when they are none', () => {
    for (const raw of [undefined, null, 'drain', 7, [], {}, { kind: 'toString' }]) {
      expect(readToWorker(raw)).toBeNull()
      expect(readToPrimary(raw)).toBeNull()
    }
  })
})
