// What doors ask on behalf of somebody with limits, against two workers with real shards.

import { describe, expect, it } from 'vitest'
import { Guard } from '../../../../src/transports/auth/guard.ts'
import { anybody, type Principal, type Scope } from '../../../../src/transports/auth/principal.ts'
import { Caller } from '../../../../src/transports/caller.ts'
import { Sessions } from '../../../../src/transports/sessions.ts'
import { wireCodec } from '../../../../src/transports/wire/codec.ts'
import { ask, EVEN, ODD, session, two } from '../../../support/exchange-node.ts'

const FORBIDDEN = { ok: false, error: 'This token may not do that', code: 'forbidden' }
const NEVER_GIVEN = 32 * 1_000_000
const principal = (queues: string[] | null, ...held: Scope[]): Principal => ({
  name: 'limited',
  scopes: new Set(held),
  queues,
})

async function guarded() {
  const { node, a } = await two()
  const caller = new Caller(a, new Sessions({ worker: 0, incarnation: 7 }))
  const guard = new Guard(a, wireCodec, caller)
  const call = async (who: Principal, frame: object): Promise<unknown> => {
    const { line } = await guard.call(who, Buffer.from(`${JSON.stringify(frame)}\n`))
    return JSON.parse(line.toString())
  }
  const admin = session(0)
  const push = async (queue: string): Promise<number> =>
    Number((await ask(a, admin, { cmd: 'PUSH', queue, data: 1 }))['id'])
  const pull = (queue: string) => ask(a, admin, { cmd: 'PULL', queue })
  return { node, a, caller, call, push, pull }
}

describe('a call of somebody with limits', () => {
  it('runs what they may do, wherever the queue lives', async () => {
    const { call } = await guarded()
    const who = principal([EVEN, ODD], 'produce', 'consume')
    for (const queue of [EVEN, ODD]) {
      expect(await call(who, { cmd: 'PUSH', queue, data: 1 })).toMatchObject({ ok: true })
      expect(await call(who, { cmd: 'PULL', queue, wait: 0 })).toMatchObject({ job: { queue } })
      expect(await call(who, { cmd: 'STATS' })).toEqual(FORBIDDEN)
    }
    expect(await call(who, { cmd: 'PUSH', queue: 'other', data: 1, reqId: 5 })).toEqual({
      ok: false,
      reqId: 5,
      error: FORBIDDEN.error,
      code: FORBIDDEN.code,
    })
    expect(await call(anybody, { cmd: 'STATS' })).toMatchObject({ ok: true, processing: 2 })
  })

  it('refuses what is no command as anybody is refused', async () => {
    const { call } = await guarded()
    const refused = { ok: false, error: 'Invalid: missing field "id"', code: 'invalid' }
    for (const who of [anybody, principal(['q'], 'read')]) {
      expect(await call(who, { cmd: 'GETJOB' })).toEqual(refused)
    }
  })

  it('looks jobs up at the worker that has them', async () => {
    const { call, push, pull } = await guarded()
    const ids = [await push(EVEN), await push(ODD)] as const
    for (const queue of [EVEN, ODD]) await pull(queue)
    const [even, odd] = ids
    const gone = (id: number, index: number) => ({
      index,
      error: `Job ${id} not found`,
      code: 'job_not_found',
    })
    const who = principal([ODD], 'consume', 'read')
    expect(await call(who, { cmd: 'GETSTATE', id: even })).toMatchObject({ state: 'unknown' })
    expect(await call(who, { cmd: 'GETSTATE', id: odd })).toMatchObject({ state: 'active' })
    expect(await call(who, { cmd: 'ACKB', ids: [NEVER_GIVEN, even, odd] })).toEqual({
      ok: true,
      ids: [1],
      errors: [gone(NEVER_GIVEN, 0), gone(even, 1)],
    })
    expect(await call(anybody, { cmd: 'GETSTATE', id: even })).toMatchObject({ state: 'active' })
    expect(await call(who, { cmd: 'ACKB', ids: [] })).toEqual({ ok: true, ids: [0] })
  })

  it('bounds how many parents a batch may name', async () => {
    const { call } = await guarded()
    const parents = (from: number) => Array.from({ length: 100 }, (_, i) => NEVER_GIVEN + from + i)
    const jobs = Array.from({ length: 11 }, (_, i) => ({ data: 1, depends_on: parents(100 * i) }))
    expect(await call(principal(['q'], 'produce'), { cmd: 'PUSHB', queue: 'q', jobs })).toEqual({
      ok: false,
      error: 'Limit exceeded: dependencies of a batch (max 1000)',
      code: 'limit_exceeded',
    })
  })
})
