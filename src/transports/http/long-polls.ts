// Pulls that wait, each in a session of its own, and what ends them before their time: a client that goes away, and a
// door that drains.
//
// 1. A pull that was ended is forgotten by the shards; jobs that were on their way to it return.
// 2. One connection has a few of them at most. (Requests piped behind each other would otherwise be a way to have
//    any number.)
// 3. It is the connection that is watched: the answer to a request behind others does not know it before its turn.

import type { Socket } from 'node:net'
import { limits } from '../../engine/limits.ts'
import type { Guard } from '../auth/guard.ts'
import type { Principal } from '../auth/principal.ts'
import type { Answer, Caller } from '../caller.ts'

export class LongPolls {
  private readonly caller: Caller
  private readonly access: Guard
  /** What ends one of them, and whose it is. */
  private readonly waiting = new Map<() => void, Principal>()
  private readonly bySocket = new Map<Socket, number>()
  private isOver = false

  constructor(caller: Caller, access: Guard) {
    this.caller = caller
    this.access = access
  }

  /** Whether the connection has as many as it may have. */
  isFull(socket: Socket): boolean {
    return (this.bySocket.get(socket) ?? 0) >= limits.pollsPerConnectionMax
  }

  /** `done` is called once; null: it was ended before there was an answer. */
  wait(
    principal: Principal,
    frame: Buffer,
    socket: Socket,
    done: (answer: Answer | null) => void,
  ): void {
    if (this.isOver || socket.destroyed) return done(null)
    const session = this.caller.begin()
    const settle = (answer: Answer | null): void => {
      socket.off('close', end)
      this.waiting.delete(end)
      this.left(socket)
      done(answer)
    }
    const end = (): void => {
      this.caller.end(session)
      settle(null)
    }
    this.waiting.set(end, principal)
    this.bySocket.set(socket, (this.bySocket.get(socket) ?? 0) + 1)
    socket.once('close', end)
    this.access.ask(principal, frame, settle, session)
  }

  /** Those whose token is not good any more; when they come again they are told. */
  endInvalid(isValid: (principal: Principal) => boolean): void {
    for (const [end, principal] of this.waiting) if (!isValid(principal)) end()
  }

  /** None waits from now on. */
  endAll(): void {
    this.isOver = true
    for (const end of this.waiting.keys()) end()
  }

  private left(socket: Socket): void {
    const left = (this.bySocket.get(socket) ?? 1) - 1
    if (left === 0) this.bySocket.delete(socket)
    else this.bySocket.set(socket, left)
  }
}
