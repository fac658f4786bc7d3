import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { probeListener } from '../../../../src/transports/metrics/listener-probe.ts'
import { listening } from '../../../support/listening.ts'

const HOST = '127.0.0.1'

async function serverThat(serves: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    serves(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

describe('a probe of the listener', () => {
  it('is answered by a listener that works, with a token or without', async () => {
    for (const tokens of [[], ['secret']]) {
      const { addresses } = await listening({ tokens })
      const { port } = addresses[0] as AddressInfo
      expect(await probeListener(HOST, port, false)).toBeNull()
    }
  })

  it('says why there is none', async () => {
    const port = await serverThat((socket) => socket.destroy())
    const { addresses } = await listening({ connectionsMax: 0 })
    expect(await probeListener(HOST, (addresses[0] as AddressInfo).port, false)).toContain(
      'limit_exceeded',
    )
    expect(await probeListener('0.0.0.0', port, false)).not.toBe('')
  })

  it('does not wait for one that accepts and says nothing', async () => {
    const port = await serverThat(() => undefined)
    expect(await probeListener(HOST, port, false)).toBe('no answer within 1000 ms')
  })

  it('takes any answer for one where connections are encrypted', async () => {
    const port = await serverThat((socket) => {
      socket.on('data', () => socket.resetAndDestroy())
    })
    expect(await probeListener(HOST, port, true)).toBeNull()
  })
})
