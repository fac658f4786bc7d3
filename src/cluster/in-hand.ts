// Connections that the primary has handed to a worker, until the worker says that it has them.
//
//   node:cluster  newconn + handle ──▶ worker    ack: accepted, or not: then it is another worker's turn
//   move          adopt + socket   ──▶ worker    adopted
//
// A worker that is killed in between never answers. Its end of the socket goes with it, but the primary's stays open,
// held by the message that waits for its answer (Node puts off the disconnect until a handle is acknowledged, which
// will never be): the client would wait for ever. So when a worker is gone, whatever
// it had not accepted is closed here, and the client sees what it sees of every connection of a killed worker.
// It is not given to another worker: what the dead one has read of it, nobody knows.
//
// Node says nothing of this in public: the messages that hand out new connections are seen where they are sent, their
// answers as internal messages. If a version of Node changes them, this sees nothing and all is as without it;
// test/integration/evacuate.test.ts notices.

import type { Worker } from 'node:cluster'
import type { Socket } from 'node:net'

interface Closable {
  close(): void
}

/** Of one worker process. */
export class InHand {
  /** Handed out by `node:cluster`, by the number that the answer names. */
  private readonly accepting = new Map<number, Closable>()
  /** Moved connections, by their session. */
  private readonly moving = new Map<number, Closable>()

  constructor(process: Worker['process']) {
    const send = process.send.bind(process) as (...args: unknown[]) => boolean
    const noting = (...args: unknown[]): boolean => {
      const [message, handle] = args
      if (isNewConnection(message) && isClosable(handle)) this.accepting.set(message.seq, handle)
      return send(...args)
    }
    process.send = noting as typeof process.send
    process.on('internalMessage', (message: unknown) => {
      const ack = isRecord(message) ? message['ack'] : undefined
      if (typeof ack === 'number') this.accepting.delete(ack)
    })
    // `exit` may come before the last answers are read, `disconnect` never comes while a handle is under way.
    process.on('close', () => this.closeAll())
  }

  /** Before it is sent: afterwards the socket has no handle. */
  moves(holder: number, socket: Socket): void {
    const handle = (socket as unknown as { readonly _handle: unknown })._handle
    if (isClosable(handle)) this.moving.set(holder, handle)
  }

  adopted(holder: number): void {
    this.moving.delete(holder)
  }

  private closeAll(): void {
    const handles = [...this.accepting.values(), ...this.moving.values()]
    this.accepting.clear()
    this.moving.clear()
    // To close one that is closed already does nothing.
    for (const handle of handles) handle.close()
  }
}

function isNewConnection(message: unknown): message is { readonly seq: number } {
  return isRecord(message) && message['act'] === 'newconn' && typeof message['seq'] === 'number'
}

function isClosable(handle: unknown): handle is Closable {
  return isRecord(handle) && typeof handle['close'] === 'function'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
