import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { Outbox, Turn } from '../../../src/cluster/outbox.ts'

/** A peer that takes nothing until it is told to. */
class SlowSocket {
  readonly taken: (() => void)[] = []
  readonly writableLength = 0

  write(_bytes: Uint8Array, done: () => void): boolean {
    this.taken.push(done)
    return false
  }

  takeAll(): void {
    for (const done of this.taken.splice(0)) done()
  }
}

it('buffers that a slow peer has taken are used again, as many as there were, up to some memory', () => {
  const socket = new SlowSocket()
  const outbox = new Outbox(new Turn(() => undefined))
  outbox.attach(socket as unknown as Socket)
  const send = (bytes: number): Buffer => {
    const { writer } = outbox
    writer.copy(Buffer.alloc(bytes), 0, bytes)
    outbox.flush()
    return writer.bytes
  }
  const batch = 300 * 1024
  const first = Array.from({ length: 6 }, () => send(batch))
  expect(new Set(first).size).toBe(6)
  socket.takeAll()
  const again = Array.from({ length: 7 }, () => send(batch))
  expect(again.filter((bytes) => first.includes(bytes))).toHaveLength(6)
  socket.takeAll()
  // One that is larger than what is kept at all is given up.
  const large = send(20 * 1024 * 1024)
  socket.takeAll()
  const after = Array.from({ length: 20 }, () => send(1))
  expect(after.some((bytes) => bytes === large)).toBe(false)
})
