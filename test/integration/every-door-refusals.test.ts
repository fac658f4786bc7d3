// Every refusal that a client can provoke, provoked at every door: the same code, with the status that belongs to it.
//
// The table has every code there is, or it does not compile: with a way to it, or with the reason why there is none.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { limits } from '../../src/engine/limits.ts'
import type { RefusalCode } from '../../src/engine/refusal.ts'
import {
  type Command,
  type DoorClient,
  type DoorName,
  doorNames,
  pull,
  push,
  refused,
} from '../support/doors/door-client.ts'
import { exact } from '../support/doors/exact-json.ts'
import { openDoor, openDoors } from '../support/doors/open-doors.ts'
import { LineClient } from '../support/line-client.ts'
import { queueInShard } from '../support/queue-names.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'

const NEVER_GIVEN = 32 * 999_999
/** Of shard 0. */
const LAST_ID = 2 ** 53 - limits.shards

const authFile = join(scratchFolder(), 'tokens.json')
writeFileSync(
  authFile,
  JSON.stringify({
    tokens: [
      { name: 'reader', token: 'may-read', scopes: ['read'] },
      { name: 'slow', token: 'slow', scopes: ['read', 'produce'], bytes_per_second: 1 },
    ],
  }),
)

/** A server that is shared by the tests of this file, and where its Unix socket is. */
class Place {
  readonly settings: ReturnType<typeof openDoors>
  readonly server: SharedServer

  constructor(more: Readonly<Record<string, string>>) {
    this.settings = openDoors()
    this.server = new SharedServer({ ...this.settings, ...more })
  }

  open(name: DoorName, token: string | null = null): Promise<DoorClient> {
    return openDoor(name, this.server.process, this.settings.UNIX_SOCKET, token)
  }
}

const usual = new Place({ WORKERS: '2' })
const guarded = new Place({ WORKERS: '1', AUTH_FILE: authFile })
const guessedAt = new Place({ WORKERS: '1', AUTH_FILE: authFile })
const tight = new Place({
  WORKERS: '1',
  MEMORY_MAX_MB: '1',
  FRAME_BYTES_MAX: String(2 * 1024 * 1024),
})
const crowded = new Place({ WORKERS: '1' })

let queues = 0
const newQueue = (): string => `refused-${++queues}`

interface Provoked {
  /** What the command ends with that should be refused. */
  how(name: DoorName): Promise<unknown>
  readonly except?: Partial<Record<DoorName, string>>
}

const by = (how: Provoked['how'], except: Provoked['except'] = {}): Provoked => ({ how, except })

/** One command, on the usual server. */
const byOne = (command: (queue: string) => Command): Provoked =>
  by(async (name) => (await usual.open(name)).run(command(newQueue())))

/** After something else. */
const after = (script: (door: DoorClient, queue: string) => Promise<unknown>): Provoked =>
  by(async (name) => script(await usual.open(name), newQueue()))

const table: Readonly<Record<RefusalCode, Provoked | string>> = {
  invalid: byOne((queue) => ({ cmd: 'PUSH', queue, data: exact('{') })),
  frame_too_large: by(async (name) => {
    const data = 'x'.repeat(3 * 1024 * 1024)
    return (await tight.open(name)).run({ cmd: 'PUSH', queue: 'q', data })
  }),
  auth_required: by(async (name) => (await guarded.open(name)).run({ cmd: 'STATS' })),
  auth_invalid: by(async (name) => (await guarded.open(name, 'wrong')).run({ cmd: 'STATS' })),
  auth_throttled: by(
    async (name) => {
      for (let tries = 0; tries < limits.authFailuresMax; tries++) {
        const door = await guessedAt.open(name, `wrong-${tries}`)
        await door.run({ cmd: 'STATS' })
      }
      // Even the right one.
      return (await guessedAt.open(name, 'may-read')).run({ cmd: 'STATS' })
    },
    { Unix: 'its peers have no address; the permissions of the file are their brake' },
  ),
  forbidden: by(async (name) => {
    const door = await guarded.open(name, 'may-read')
    return door.run({ cmd: 'PUSH', queue: 'q', data: 1 })
  }),
  queue_name_invalid: byOne(() => ({ cmd: 'PUSH', queue: 'a b', data: 1 })),
  queue_busy: after(async (door, queue) => {
    await push(door, queue)
    await pull(door, queue)
    return door.run({ cmd: 'DELETEQUEUE', queue })
  }),
  data_too_large: byOne((queue) => ({ cmd: 'PUSH', queue, data: 'x'.repeat(limits.dataBytesMax) })),
  duplicate_key: after(async (door, queue) => {
    await push(door, queue, { unique_key: 'k' })
    return door.run({ cmd: 'PUSH', queue, data: 1, unique_key: 'k' })
  }),
  limit_exceeded: byOne((queue) => ({ cmd: 'PUSH', queue, data: 1, tags: Array(33).fill('t') })),
  quota_exceeded: by(async (name) => {
    const door = await guarded.open(name, 'slow')
    const command: Command = { cmd: 'PUSH', queue: 'slow', data: 'x'.repeat(1000) }
    // Once it is not owed anything; then it is, for a quarter of an hour.
    await door.run(command)
    return door.run(command)
  }),
  job_not_found: byOne(() => ({ cmd: 'ACK', id: NEVER_GIVEN })),
  job_not_active: after(async (door, queue) => {
    const id = await push(door, queue)
    return door.run({ cmd: 'PROGRESS', id, progress: 1 })
  }),
  job_not_cancellable: after(async (door, queue) => {
    const id = await push(door, queue)
    await pull(door, queue)
    await door.run({ cmd: 'ACK', id })
    return door.run({ cmd: 'CANCEL', id })
  }),
  job_not_delayed: after(async (door, queue) =>
    door.run({ cmd: 'PROMOTE', id: await push(door, queue) }),
  ),
  stale_token: after(async (door, queue) => {
    const id = await push(door, queue)
    const first = await pull(door, queue, { token: true })
    await door.run({ cmd: 'RELEASE', ids: [id] })
    await pull(door, queue, { token: true })
    return door.run({ cmd: 'ACK', id, token: first?.token })
  }),
  dependency_invalid: byOne(() => ({
    cmd: 'PUSH',
    queue: queueInShard(0),
    data: 1,
    depends_on: [LAST_ID],
  })),
  cron_not_found: byOne((name) => ({ cmd: 'CRONDELETE', name })),
  cron_invalid: byOne((queue) => ({ cmd: 'CRON', name: 'c', queue, schedule: 'soon', data: 1 })),
  webhook_not_found: byOne(() => ({ cmd: 'WEBHOOKDELETE', id: 'wh_9999' })),
  webhook_invalid: byOne(() => ({
    cmd: 'WEBHOOK',
    url: 'ftp://example.org',
    events: ['completed'],
  })),
  too_many_waiting: by(async (name) => {
    await fillUp()
    return (await crowded.open(name)).run({ cmd: 'PULL', queue: 'q', wait: 60_000 })
  }),
  memory_full: by(async (name) => {
    const door = await tight.open(name)
    const command: Command = { cmd: 'PUSH', queue: 'q', data: 'x'.repeat(1_000_000) }
    // Full before the last of these.
    for (let n = 0; n < 8; n++) await door.run(command)
    return door.run(command)
  }),
  draining: by(async (name) => {
    const settings = openDoors()
    const server = await startServer({ ...settings, WORKERS: '1' })
    const doors = [0, 1].map(() => openDoor(name, server, settings.UNIX_SOCKET))
    const [puller, other] = (await Promise.all(doors)) as [DoorClient, DoorClient]
    // Both are connected, and there is one worker: it reads the pull before what is sent behind it.
    for (const door of [puller, other]) await door.run({ cmd: 'STATS' })
    const pulled = puller.run({ cmd: 'PULL', queue: 'q', wait: 60_000 })
    await other.run({ cmd: 'STATS' })
    server.signal('SIGTERM')
    return pulled
  }),
  unavailable: 'needs the owner of a queue to die: durable-faults and process-faults',
  outcome_unknown: 'needs a fault between the command and its answer: durable-faults',
  storage_refused: 'needs a database that refuses a row: postgres-faults',
}

const crowd: LineClient[] = []
afterAll(() => {
  for (const client of crowd) client.destroy()
})

/** As many pulls wait on one queue as may. */
async function fillUp(): Promise<void> {
  const each = 1000
  while (crowd.length < limits.waitingPullsPerQueueMax / each) {
    const client = await LineClient.open({ host: '127.0.0.1', port: crowded.server.process.port })
    crowd.push(client)
    client.send('{"cmd":"PULL","queue":"q"}\n'.repeat(each), '{"cmd":"STATS","reqId":1}\n')
    await client.line()
  }
}

describe.each(doorNames)('over %s', (name) => {
  const rows = Object.entries(table).flatMap(([code, way]) =>
    typeof way === 'string' || way.except?.[name] !== undefined ? [] : [{ code, how: way.how }],
  )
  it.each(rows)('$code', async ({ code, how }) => {
    expect(await how(name)).toEqual(refused(code))
  })
})
