import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SocketWriter } from '../../../../src/transports/tcp/socket-writer.ts'

/** More than the kernel takes for a peer that does not read. */
const MUCH = 32 * 1024 * 1024

interface Pair {
  readonly ours: Socket
  readonly peer: Socket
}

async function connected(): Promise<Pair> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const peer = connect(port, '127.0.0.1')
  const [ours] = (await once(server, 'connection')) as [Socket]
  server.close()
  onTestFinished(() => {
    peer.destroy()
    ours.destroy()
  })
  return { ours, peer }
}

async function read(peer: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let got = 0
  for await (const chunk of peer.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk as Buffer)
    got += (chunk as Buffer).length
    if (got >= length) break
  }
  return Buffer.concat(chunks)
}

const ways = [
  ['straight to the handle', true],
  ['through the stream, where the handle is not what it should be', false],
] as const

describe.each(ways)('a socket writer, %s', (_, direct) => {
  async function writing(): Promise<Pair & { writer: SocketWriter; calls: (Error | null)[] }> {
    const pair = await connected()
    const calls: (Error | null)[] = []
    const { _handle: handle } = pair.ours as unknown as { _handle: { writeBuffer: unknown } }
    const { writeBuffer } = handle
    if (!direct) handle.writeBuffer = undefined
    const writer = new SocketWriter(pair.ours, (error) => calls.push(error ?? null))
    handle.writeBuffer = writeBuffer
    return { ...pair, writer, calls }
  }

  it('says which writes are done, and calls back for every other one, in order', async () => {
    const { writer, calls, peer } = await writing()
    const pieces = [
      Buffer.from('first'),
      Buffer.from('second'),
      Buffer.alloc(MUCH, 'x'),
      Buffer.from('last'),
    ]
    const done = pieces.map((piece) => writer.write(piece))
    expect(done).toEqual(direct ? [true, true, false, false] : [false, false, false, false])
    const expected = Buffer.concat(pieces)
    expect((await read(peer, expected.length)).equals(expected)).toBe(true)
    await expect.poll(() => calls).toEqual(done.filter((each) => !each).map(() => null))
    expect(writer.write(Buffer.from('again'))).toBe(direct)
    expect(String(await read(peer, 5))).toBe('again')
  })

  it('does not say of a write that it is done when the peer is gone', async () => {
    const { writer, calls, peer, ours } = await writing()
    ours.on('error', () => undefined)
    expect(writer.write(Buffer.alloc(MUCH))).toBe(false)
    const closed = new Promise((resolve) => ours.once('close', resolve))
    peer.destroy()
    await closed
    expect(calls.filter((error) => error === null)).toEqual([])
    expect(writer.write(Buffer.from('late'))).toBe(false)
  })

  it('closes the socket when the kernel refuses a write', async () => {
    const { writer, calls, ours, peer } = await writing()
    const errors: Error[] = []
    ours.on('error', (error) => errors.push(error))
    peer.resetAndDestroy()
    // The peer's answer to a write is what tells the kernel.
    while (!ours.destroyed) {
      writer.write(Buffer.from('x'))
      await new Promise(setImmediate)
    }
    expect(ours.destroyed).toBe(true)
    expect(writer.write(Buffer.from('late'))).toBe(false)
    expect(errors.length + calls.filter((error) => error !== null).length).toBeGreaterThan(0)
  })
})
