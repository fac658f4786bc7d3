// Doors compared with each other: a random script has the same outcomes, states and order through any two of them; and a
// job that goes in through one comes out of the next, whichever they are.
//
// FLASHQ_SEED repeats a run; the seed is in the name of the test.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type DoorClient,
  type DoorName,
  done,
  doorNames,
  pull,
  push,
  refused,
} from '../support/doors/door-client.ts'
import { doorScript, play } from '../support/doors/door-script.ts'
import { exact } from '../support/doors/exact-json.ts'
import { openDoors, openEveryDoor } from '../support/doors/open-doors.ts'
import { SharedServer } from '../support/shared-server.ts'

const SCRIPTS = 25
const seed = Number(process.env['FLASHQ_SEED'] ?? Date.now() % 2 ** 31)

const settings = openDoors()
const server = new SharedServer({ ...settings, WORKERS: '2' })
let queues = 0
const newQueue = (): string => `alike-${++queues}-`

const pairs = doorNames.flatMap((one, i) =>
  doorNames.slice(i + 1).map((other): [DoorName, DoorName] => [one, other]),
)

describe(`random scripts, seed ${seed}`, () => {
  it.each(pairs)('end the same through %s and %s', async (one, other) => {
    const doors = await openEveryDoor(server.process, settings.UNIX_SOCKET)
    await fc.assert(
      fc.asyncProperty(doorScript, async (script) => {
        const told = await play(doors[one], newQueue(), script)
        expect(await play(doors[other], newQueue(), script)).toEqual(told)
      }),
      { seed, numRuns: SCRIPTS },
    )
  })
})

describe('one job over four doors', () => {
  it.each(orders(doorNames))(
    'pushed at %s, pulled at %s, failed at %s, read at %s',
    async (...names) => {
      const doors = await openEveryDoor(server.process, settings.UNIX_SOCKET)
      const [pusher, puller, failer, reader] = names.map((name) => doors[name]) as [
        DoorClient,
        DoorClient,
        DoorClient,
        DoorClient,
      ]
      const queue = newQueue()
      const data = '{ "n": 1.50, "big":12345678901234567890 }'
      const id = await push(pusher, queue, { data: exact(data), max_attempts: 1, tags: ['t'] })
      const job = await pull(puller, queue, { token: true })
      expect(job).toMatchObject({ id, queue, data, tags: ['t'] })
      const token = job?.token as number
      expect(await failer.run({ cmd: 'FAIL', id, token: token + 1 })).toEqual(
        refused('stale_token'),
      )
      expect(await failer.run({ cmd: 'FAIL', id, token, error: 'no "good"' })).toEqual(done())
      expect(await reader.run({ cmd: 'GETJOB', id, full: true })).toMatchObject(
        done({ job: { id, data, progress_msg: 'no "good"' }, state: 'failed', error: 'no "good"' }),
      )
      expect(await reader.run({ cmd: 'DLQ', queue })).toMatchObject(done({ jobs: [{ id, data }] }))
    },
  )
})

/** Every order of them. */
function orders<T>(all: readonly T[]): T[][] {
  if (all.length <= 1) return [[...all]]
  return all.flatMap((first) =>
    orders(all.filter((each) => each !== first)).map((rest) => [first, ...rest]),
  )
}
