import type { Worker } from 'node:cluster'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { InHand } from '../../../src/cluster/in-hand.ts'

class FakeProcess extends EventEmitter {
  readonly sent: unknown[][] = []

  send(...args: unknown[]): boolean {
    this.sent.push(args)
    return true
  }
}

class Handle {
  closed = 0

  close(): void {
    this.closed++
  }
}

const socketOf = (handle: Handle | null): Socket => ({ _handle: handle }) as unknown as Socket

function setUp(): { process: FakeProcess; inHand: InHand } {
  const process = new FakeProcess()
  const inHand = new InHand(process as unknown as Worker['process'])
  return { process, inHand }
}

describe('what a worker was given', () => {
  it('is closed when the worker is gone and has not accepted it', () => {
    const { process, inHand } = setUp()
    const [lost, accepted, refused, moved, adopted] = Array.from({ length: 5 }, () => new Handle())
    const give = (seq: number, handle: unknown): boolean =>
      process.send({ cmd: 'NODE_CLUSTER', act: 'newconn', seq }, handle)
    expect(give(1, lost)).toBe(true)
    give(2, accepted)
    give(3, refused)
    inHand.moves(70, socketOf(moved as Handle))
    inHand.moves(71, socketOf(adopted as Handle))
    inHand.moves(72, socketOf(null))
    expect(process.sent).toHaveLength(3)
    process.emit('internalMessage', { cmd: 'NODE_HANDLE_ACK' })
    process.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack: 2, accepted: true })
    // Node gives it to another worker.
    process.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack: 3, accepted: false })
    inHand.adopted(71)
    process.emit('exit')
    expect(lost?.closed).toBe(0)
    process.emit('close')
    const closed = [lost, accepted, refused, moved, adopted].map((handle) => handle?.closed)
    expect(closed).toEqual([1, 0, 0, 1, 0])
  })

  it('is a connection: other messages are sent as they are', () => {
    const { process } = setUp()
    const handle = new Handle()
    process.send({ kind: 'adopt', seq: 1 }, handle)
    process.send({ act: 'newconn' }, handle)
    process.send('newconn')
    process.send({ act: 'newconn', seq: 5 })
    process.emit('internalMessage', null)
    process.emit('close')
    expect(handle.closed).toBe(0)
    expect(process.sent).toHaveLength(4)
  })
})
