// Pulls that wait, each in a session of its own, and what ends them before their time: a client that goes away, and a
// door that drains.
//
// 1. A pull that was ended is forgotten by the shards; jobs that were on their way to it return.
// 2. One connection has a few of them at most. (Requests piped behind each other would otherwise be a way to have
//    any number.)

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { limits } from '../../engine/limits.ts'
import type { Answer, Caller } from '../caller.ts'

export class LongPolls {
  private readonly caller: Caller
  /** Ends one of them. */
  private readonly waiting = new Set<() => void>()
  private readonly bySocket = new Map<Socket, number>()
  private isOver = false

  constructor(caller: Caller) {
    this.caller = caller
  }

  get size(): number {
    return this.waiting.size
  }

  /** Whether the connection has as many as it may have. */
  isFull(response: ServerResponse): boolean {
    const { socket } = response
    return socket !== null && (this.bySocket.get(socket) ?? 0) >= limits.pollsPerConnectionMax
  }

  /** Null: it was ended before there was an answer. */
  async wait(frame: Buffer, response: ServerResponse): Promise<Answer | null> {
    const { caller } = this
    const { socket } = response
    if (this.isOver || response.destroyed || socket === null) return null
    const session = caller.begin()
    let isAnswered = false
    let end: () => void = () => undefined
    const ended = new Promise<null>((resolve) => {
      end = () => {
        if (isAnswered) return
        caller.end(session)
        resolve(null)
      }
    })
    this.waiting.add(end)
    this.bySocket.set(socket, (this.bySocket.get(socket) ?? 0) + 1)
    response.once('close', end)
    const answer = await Promise.race([
      caller.call(frame, session).then((given) => {
        isAnswered = true
        return given
      }),
      ended,
    ])
    response.off('close', end)
    this.waiting.delete(end)
    this.left(socket)
    return answer
  }

  /** None waits from now on. */
  endAll(): void {
    this.isOver = true
    for (const end of this.waiting) end()
  }

  private left(socket: Socket): void {
    const left = (this.bySocket.get(socket) ?? 1) - 1
    if (left === 0) this.bySocket.delete(socket)
    else this.bySocket.set(socket, left)
  }
}
