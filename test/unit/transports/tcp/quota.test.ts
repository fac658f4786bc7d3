// Tokens with quotas on the line protocol: connections, commands and bytes a second.

import { describe, expect, it } from 'vitest'
import type { IssuedToken } from '../../../../src/transports/auth/authenticator.ts'
import { type Quota, scopes } from '../../../../src/transports/auth/principal.ts'
import { digestOf } from '../../../../src/transports/auth/token.ts'
import type { LineClient } from '../../../support/line-client.ts'
import { type Listening, listening } from '../../../support/listening.ts'

const ANY = Number.POSITIVE_INFINITY
const OK = { ok: true }
const TOO_FAST = { ok: false, code: 'quota_exceeded' }

function issued(token: string, quota: Partial<Quota>): IssuedToken {
  const all = { connections: 10, commandsPerSecond: ANY, bytesPerSecond: ANY, ...quota }
  const principal = { name: token, scopes: new Set(scopes), queues: null, quota: all }
  return { digest: digestOf(token), id: null, principal, expiresAtMs: ANY }
}

const withQuota = (quota: Partial<Quota>): Promise<Listening> =>
  listening({ issued: [issued('tight', quota), issued('free', {})] })

async function authenticated({ client }: Listening, token = 'tight'): Promise<LineClient> {
  const peer = await client()
  peer.send({ cmd: 'AUTH', token })
  expect(await peer.object()).toEqual(OK)
  return peer
}

describe('a token with a rate', () => {
  it('has commands refused beyond it, each at its place, and the connection goes on', async () => {
    const at = await withQuota({ commandsPerSecond: 2 })
    const peer = await authenticated(at)
    const stats = (reqId: string): object => ({ cmd: 'STATS', reqId })
    peer.send(stats('1'), stats('2'), stats('3'), { cmd: 'SUBSCRIBE', queue: 'q', reqId: '4' })
    const replies = [await peer.object(), await peer.object(), await peer.object()]
    expect(replies).toMatchObject([OK, OK, { ...TOO_FAST, reqId: '3' }])
    expect(await peer.object()).toMatchObject({ ...TOO_FAST, reqId: '4' })
    at.clock.ms += 500
    peer.send(stats('5'), stats('6'))
    expect([await peer.object(), await peer.object()]).toMatchObject([OK, TOO_FAST])
  })

  it('shares it between its connections, and with nobody else', async () => {
    const at = await withQuota({ commandsPerSecond: 1 })
    const [one, two] = [await authenticated(at), await authenticated(at)]
    const other = await authenticated(at, 'free')
    one.send({ cmd: 'STATS' })
    expect(await one.object()).toMatchObject(OK)
    two.send({ cmd: 'STATS' })
    expect(await two.object()).toMatchObject(TOO_FAST)
    for (let n = 0; n < 5; n++) other.send({ cmd: 'STATS' })
    for (let n = 0; n < 5; n++) expect(await other.object()).toMatchObject(OK)
  })

  it('owes the bytes of a long command, and counts what is no command, too', async () => {
    const at = await withQuota({ bytesPerSecond: 1000 })
    const peer = await authenticated(at)
    peer.send({ cmd: 'STATS', x: 'x'.repeat(5000) })
    expect(await peer.object()).toMatchObject(OK)
    peer.socket.write('no json\n')
    expect(await peer.object()).toMatchObject(TOO_FAST)
    at.clock.ms += 10_000
    peer.socket.write('no json\n')
    expect(await peer.object()).toMatchObject({ code: 'invalid' })
  })
})

describe('a token with so many connections', () => {
  it('is refused on one more, which may be authenticated when another one goes', async () => {
    const at = await withQuota({ connections: 2 })
    const [first] = [await authenticated(at), await authenticated(at)]
    const third = await at.client()
    third.send({ cmd: 'AUTH', token: 'tight' }, { cmd: 'STATS' })
    expect(await third.object()).toMatchObject(TOO_FAST)
    expect(await third.object()).toMatchObject({ code: 'auth_required' })
    // The same token again is no other connection.
    first?.send({ cmd: 'AUTH', token: 'tight' })
    expect(await first?.object()).toEqual(OK)
    first?.destroy()
    await at.gate.until(() => at.gate.closed.length === 1)
    third.send({ cmd: 'AUTH', token: 'tight' }, { cmd: 'STATS' })
    expect([await third.object(), await third.object()]).toMatchObject([OK, OK])
  })
})
