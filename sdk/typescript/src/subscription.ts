// The events of one queue, over a connection of their own.
//
// 1. SUBSCRIBE is sent once on every new socket, so after a reconnect the subscription goes on. Events between are lost.
// 2. A refusal before the first success ends it; a later one drops the socket, and the back-off of reconnecting
//    spaces the next try.

import { subscribeCommand } from './command.ts'
import { Connection } from './connection.ts'
import { Deferred } from './deferred.ts'
import { FlashQError } from './errors.ts'
import type { DroppedEvents, EventListener, JobEvent } from './job.ts'
import type { Settings } from './options.ts'
import { type Reply, readNothing } from './reply.ts'
import { CommandRequest } from './request.ts'

export class Subscription {
  readonly #queue: string
  readonly #events: readonly string[]
  readonly #report: (fault: Error) => void
  readonly #connection: Connection
  readonly #first = new Deferred<void>()
  #current: CommandRequest<undefined> | null = null
  #started = false

  constructor(
    settings: Settings,
    queue: string,
    events: readonly string[],
    listener: EventListener,
    report: (fault: Error) => void,
  ) {
    this.#queue = queue
    this.#events = events
    this.#report = report
    this.#connection = new Connection(settings, {
      opened: () => this.#subscribe(),
      lost: () => {},
      reconnecting: () => {},
      failed: (fault) => this.#report(fault),
      event: (message: Reply) => listener(message as unknown as JobEvent | DroppedEvents),
    })
  }

  /** Resolves when the server has confirmed the subscription. */
  async start(): Promise<void> {
    try {
      await Promise.all([this.#connection.connect(), this.#first.promise])
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    await this.#connection.close(0)
  }

  #subscribe(): void {
    if (this.#current !== null) {
      this.#connection.abandon(
        this.#current,
        new FlashQError('connection_lost', 'Connection lost before the subscription was confirmed'),
      )
    }
    const command = subscribeCommand(this.#queue, this.#events)
    const request = new CommandRequest<undefined>(command, readNothing)
    this.#current = request
    this.#connection.send(request)
    request.promise.then(
      () => {
        this.#started = true
        this.#first.resolve()
      },
      (error: unknown) => this.#refused(error),
    )
  }

  #refused(error: unknown): void {
    const code = error instanceof FlashQError ? error.code : ''
    // The next connection subscribes anew.
    if (code === 'connection_lost' || (code === 'closed' && this.#started)) return
    if (!this.#started) {
      this.#first.reject(error)
      return
    }
    const fault = error instanceof Error ? error : new Error(String(error))
    this.#report(fault)
    this.#connection.reset(fault)
  }
}
