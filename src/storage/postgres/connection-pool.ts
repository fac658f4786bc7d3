// A few sessions for work of which any number may be waiting: the first that is free takes the next.
//
// 1. The one that was used last is used first, so that a quiet server keeps one session busy and its statements prepared.
// 2. One that `rests` has no session while it is not used: for work that is seldom.
//
// Neighbours: `postgres-storage.ts` appends through one of these.

import type { Connection } from './connection.ts'

export class ConnectionPool {
  private readonly all: readonly Connection[]
  private readonly rests: boolean
  private readonly free: Connection[]
  private readonly waiting: ((connection: Connection) => void)[] = []

  constructor(size: number, make: () => Connection, rests = false) {
    this.rests = rests
    this.all = Array.from({ length: size }, make)
    this.free = [...this.all]
  }

  async use<T>(run: (connection: Connection) => Promise<T>): Promise<T> {
    const connection =
      this.free.pop() ?? (await new Promise<Connection>((resolve) => this.waiting.push(resolve)))
    try {
      return await run(connection)
    } finally {
      this.giveBack(connection)
    }
  }

  private giveBack(connection: Connection): void {
    const next = this.waiting.shift()
    if (next !== undefined) return next(connection)
    this.free.push(connection)
    // Whatever goes wrong with it, there is no session afterwards.
    if (this.rests) connection.rest().catch(() => undefined)
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((connection) => connection.close()))
  }
}
