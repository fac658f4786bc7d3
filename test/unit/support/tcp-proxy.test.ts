// The proxy does to a connection what it is told, and nothing else.

import { createServer, type Server, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LineClient } from '../../support/line-client.ts'
import { PgMessages } from '../../support/pg-messages.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'

interface Behind {
  readonly proxy: TcpProxy
  readonly sockets: Socket[]
  client(): Promise<LineClient>
}

/** A server that hands its sockets over, and a proxy before it. */
async function behind(onSocket: (socket: Socket) => void): Promise<Behind> {
  const sockets: Socket[] = []
  const server: Server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined))
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const proxy = await new TcpProxy(() => ({ host: '127.0.0.1', port })).start()
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await proxy.stop()
    server.close()
  })
  const client = () => LineClient.open({ host: '127.0.0.1', port: proxy.port })
  return { proxy, sockets, client }
}

/** By a reset, or by an end that overtook it. */
const over = (client: LineClient): Promise<void> => Promise.race([client.ended, client.closed])

const echo = (socket: Socket): void => void socket.pipe(socket)

function message(tag: string, body = ''): Buffer {
  const head = Buffer.alloc(tag.length + 4)
  head.write(tag)
  head.writeInt32BE(4 + body.length, tag.length)
  return Buffer.concat([head, Buffer.from(body)])
}

/** As a client begins: version 3.0, its settings. */
const START = message('', '\0\x03\0\0application_name\0flashq:1\0user\0me\0\0')

describe('a proxy', () => {
  it('passes on everything, both ways, ends included', async () => {
    const { client } = await behind(echo)
    const opened = await client()
    opened.send('one\n', 'two\n')
    expect(await opened.linesOf(2)).toEqual(['one', 'two'])
    opened.socket.end()
    await opened.ended
  })

  it('cuts a connection at once, or after so many bytes', async () => {
    const { proxy, client } = await behind(echo)
    const first = await client()
    first.send('whole\n')
    expect(await first.line()).toBe('whole')
    expect(proxy.cutAfter(0, 3)).toBe(true)
    first.send('whole\n')
    expect(await first.rests()).toEqual([])
    await over(first)
    const second = await client()
    second.send('whole\n')
    await second.line()
    proxy.cutAll()
    await over(second)
    expect(proxy.cutAfter(0, 0)).toBe(false)
  })

  it('swallows what one side says, and cuts the connection afterwards', async () => {
    const got: string[] = []
    const { proxy, client } = await behind((socket) => socket.on('data', (d) => got.push(`${d}`)))
    const opened = await client()
    proxy.swallow = 'client'
    opened.send('lost\n')
    const other = await client()
    other.send('lost, too\n')
    await new Promise((resolve) => setImmediate(resolve))
    proxy.heal()
    expect(got).toEqual([])
  })

  it('delays what is said, in order', async () => {
    const { proxy, client } = await behind(echo)
    const opened = await client()
    proxy.delayMs = 5
    opened.send('a\n')
    opened.send('b\n')
    proxy.delayMs = 0
    opened.send('c\n')
    expect(await opened.linesOf(3)).toEqual(['a', 'b', 'c'])
  })

  it('resets new connections while it refuses them', async () => {
    const { proxy, client } = await behind(echo)
    proxy.refusing = true
    // It may be gone before it is seen to be there.
    await client().then(over, () => undefined)
    expect(proxy.size).toBe(0)
  })
})

describe('a proxy before PostgreSQL', () => {
  it('cuts right after a message of the client', async () => {
    const got: Buffer[] = []
    const { proxy, client } = await behind((socket) => socket.on('data', (d) => got.push(d)))
    const struck = proxy.cutAt('Bind', /^flashq/)
    const opened = await client()
    const sent = [START, message('P', 'x'), message('B', 'yy'), message('E')]
    opened.socket.write(Buffer.concat(sent))
    await struck
    await over(opened)
    expect(Buffer.concat(got)).toEqual(Buffer.concat(sent.slice(0, 3)))
  })

  it('cuts right before a message of the server', async () => {
    const { proxy, client } = await behind((socket) =>
      socket.once('data', () => socket.write(Buffer.concat([message('2'), message('C', 'done')]))),
    )
    const struck = proxy.cutAt('CommandComplete')
    const opened = await client()
    let text = ''
    opened.socket.on('data', (part) => {
      text += part
    })
    opened.socket.write(START)
    await struck
    await over(opened)
    expect(text).toBe(message('2').toString())
  })

  it('withholds the answer to a commit, and cuts when it is complete', async () => {
    let committed = false
    const { proxy, client } = await behind((socket) =>
      socket.on('data', (data) => {
        if (!`${data}`.endsWith(message('S').toString())) return
        committed = true
        socket.write(Buffer.concat([message('C', 'INSERT'), message('Z', 'I')]))
      }),
    )
    void proxy.cutAt('committed')
    const opened = await client()
    let text = ''
    opened.socket.on('data', (part) => {
      text += part
    })
    opened.socket.write(Buffer.concat([START, message('S')]))
    await over(opened)
    expect({ committed, text }).toEqual({ committed: true, text: '' })
  })

  it('leaves other applications alone, and gives up when told to', async () => {
    const { proxy, client } = await behind(echo)
    const given = proxy.cutAt('Parse', /^other/)
    const opened = await client()
    opened.socket.write(Buffer.concat([START, message('P', 'x'), Buffer.from('\n')]))
    await opened.line()
    proxy.disarm()
    await given
    opened.destroy()
  })
})

describe('messages of PostgreSQL', () => {
  it('are found however the bytes are cut', () => {
    const bytes = Buffer.concat([START, message('P', 'abc'), message('S'), message('X', 'z')])
    for (let size = 1; size < bytes.length; size++) {
      const messages = new PgMessages('client')
      const ends: [string, number, number][] = []
      for (let at = 0; at < bytes.length; at += size) {
        for (const { tag, from, to } of messages.feed(bytes.subarray(at, at + size))) {
          ends.push([tag, at + from, at + to])
        }
      }
      const [a = 0, b = 0, c = 0] = [START.length, START.length + 8, START.length + 13]
      expect(ends).toEqual([
        ['', 0, a],
        ['P', a, b],
        ['S', b, c],
        ['X', c, bytes.length],
      ])
      expect(messages.settings.get('application_name')).toBe('flashq:1')
    }
  })

  it('begin after a request for TLS that is refused', () => {
    const request = Buffer.alloc(8)
    request.writeInt32BE(8, 0)
    request.writeInt32BE(80_877_103, 4)
    const messages = new PgMessages('client')
    const tags = messages.feed(Buffer.concat([request, START, message('Q', 'q')]))
    expect(tags.map(({ tag }) => tag)).toEqual(['', '', 'Q'])
  })
})
