// What the cluster does for a connection that leaves, step by step as the test wants it. The other worker is another
// listener of the same process.

import type { Socket } from 'node:net'
import type { Session, Subscriber } from '../../src/engine/ports.ts'
import type { Arriving } from '../../src/transports/tcp/arriving.ts'
import type { Listener } from '../../src/transports/tcp/listener.ts'
import type { Departure, Moves } from '../../src/transports/tcp/moving.ts'

export class FakeMoves implements Moves {
  /** Worker 1; null: there is none. */
  other: Listener | null = null
  /** Announcements are refused. */
  full = false
  readonly forgotten: { session: Session; done: () => void }[] = []
  readonly announced: {
    state: Buffer
    subscriber: Subscriber
    answer: (ready: boolean) => void
  }[] = []
  readonly handed: { socket: Socket; done: () => void }[] = []
  off = 0
  onStep: () => void = () => undefined

  target(): number {
    return this.other === null ? -1 : 1
  }

  forgetPulls(session: Session, done: () => void): void {
    session.leaving = true
    this.forgotten.push({ session, done })
    this.onStep()
  }

  announce(
    _to: number,
    _session: Session,
    subscriber: Subscriber,
    state: Buffer,
    answer: (ready: boolean) => void,
  ): Departure | null {
    if (this.full) return null
    this.announced.push({ state, subscriber, answer })
    this.onStep()
    return {
      hand: (socket, done) => {
        this.handed.push({ socket, done })
        this.onStep()
      },
      off: () => {
        this.off++
      },
    }
  }

  /** The other worker is told of the connection that was announced last. */
  expect(): Arriving {
    const state = this.announced.at(-1)?.state
    const arriving = this.other?.expect(Buffer.from(state ?? ''))
    if (arriving === null || arriving === undefined) throw new Error('not expected there')
    return arriving
  }

  /** The socket that was handed over comes to it. */
  deliver(arriving: Arriving): void {
    const handed = this.handed.pop()
    if (handed === undefined) throw new Error('no socket was handed over')
    arriving.arrived(handed.socket)
    handed.done()
  }
}
