import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Certificates } from '../../../../src/transports/tls/certificates.ts'
import { CapturedLog } from '../../../support/captured-log.ts'
import { Authority } from '../../../support/certificates.ts'
import { FakeMoves } from '../../../support/fake-moves.ts'
import { type Listening, listening } from '../../../support/listening.ts'
import { scratchFolder } from '../../../support/scratch-folder.ts'
import { handshake, tlsClient } from '../../../support/tls-client.ts'
import type { WireClient } from '../../../support/wire-client.ts'

const folder = scratchFolder()
const authority = new Authority()
const { cert: ca } = authority
/** Far beyond what any test takes: nothing here is decided by time. */
const LONG_MS = 60_000
const DRAINING = '{"ok":false,"error":"Server is shutting down","code":"draining"}'

function certificates(): Certificates {
  const { cert, key } = authority.issue('server')
  const paths = { cert: join(folder, 'cert'), key: join(folder, 'key'), ca: null }
  writeFileSync(paths.cert, cert)
  writeFileSync(paths.key, key)
  return new Certificates(paths, new CapturedLog())
}

function portOf({ addresses }: Listening): number {
  return (addresses[0] as AddressInfo).port
}

async function peerOf(here: Listening): Promise<WireClient> {
  return tlsClient(portOf(here), { ca })
}

describe('a listener that encrypts', () => {
  it('moves no connection: while its worker is evacuated they are drained', async () => {
    const moves = new FakeMoves()
    const there = await listening({ moves })
    moves.other = there.listener
    const here = await listening({ moves, certificates: certificates() })
    const idle = await peerOf(here)
    const waiting = await peerOf(here)
    idle.send({ cmd: 'STATS' })
    await idle.line()
    waiting.send({ cmd: 'PULL', queue: 'q' })
    await here.gate.until(() => here.gate.waiting.length === 1)
    await here.listener.evacuate(LONG_MS)
    expect(await idle.lines.rests()).toEqual([])
    expect(await waiting.lines.rests()).toEqual([DRAINING])
    expect(moves.announced).toEqual([])
  })

  it('does not move one for using what another worker owns', async () => {
    const moves = new FakeMoves()
    const there = await listening({ moves })
    moves.other = there.listener
    const here = await listening({ moves, certificates: certificates() })
    const peer = await peerOf(here)
    peer.send({ cmd: 'PULL', queue: 'q' })
    await here.gate.until(() => here.gate.waiting.length === 1)
    const [pull] = here.gate.waiting
    Object.assign(pull?.session ?? {}, { away: 1, awayCount: 1000, workersUsed: 2 })
    peer.send({ cmd: 'STATS', reqId: 1 })
    expect(await peer.line()).toContain('"reqId":1')
    expect(moves.announced).toEqual([])
  })

  it('gives up a handshake that is not through when it stops', async () => {
    const here = await listening({ certificates: certificates() })
    const { connect } = await import('node:net')
    const silent = connect(portOf(here), '127.0.0.1')
    silent.on('error', () => undefined)
    const closed = new Promise((resolve) => silent.on('close', resolve))
    // Accepted after it.
    await handshake(portOf(here), { ca })
    await here.listener.stop()
    await closed
  })
})
