// A request that asks for a protocol that is not spoken here, such as `Upgrade: h2c` of clients that would rather have
// HTTP/2: it is served as if it had not asked (RFC 9110, 7.8). Node hands over the connection of each that asks for
// anything; so the request goes back to the server, without that wish, before what follows it.

import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { limits } from '../../engine/limits.ts'

const OF_THE_WISH = new Set(['upgrade', 'http2-settings'])

/** How many there were on each connection. */
const wishes = new WeakMap<Duplex, number>()

/** For the server's `upgrade`. The last one that a connection may have is answered, and ends it. */
export function notUpgraded(
  server: Server,
  { method, url, httpVersion, rawHeaders }: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const value = rawHeaders[i + 1] as string
    const lower = name.toLowerCase()
    if (lower === 'connection') lines.push(`${name}: ${withoutWish(value)}`)
    else if (!OF_THE_WISH.has(lower)) lines.push(`${name}: ${value}`)
  }
  const count = (wishes.get(socket) ?? 0) + 1
  wishes.set(socket, count)
  if (count >= limits.httpUpgradesPerSocketMax) lines.push('Connection: close')
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('encrypted' in socket ? 'secureConnection' : 'connection', socket)
}

function withoutWish(connection: string): string {
  const options = connection.split(',').map((option) => option.trim())
  return options.filter((option) => !OF_THE_WISH.has(option.toLowerCase())).join(', ')
}
