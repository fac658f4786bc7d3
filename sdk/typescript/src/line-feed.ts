// Events over the line protocol, on a connection of their own.
//
// 1. Every new socket subscribes anew, so after a reconnect the events go on. Those between are lost, and counted as
//    one `dropped` of unknown extent: count 0.
// 2. A refusal before the first success ends it; a later one drops the socket, and the back-off of reconnecting
//    spaces the next try.
//
// Neighbours: `connection.ts` carries it; `http/sse-feed.ts` does the same by HTTP.

import { subscribeCommand } from './command.ts'
import { Connection } from './connection.ts'
import { Deferred } from './deferred.ts'
import { FlashQError } from './errors.ts'
import type { EventWish, FeedEvent, QueueEvent } from './event.ts'
import type { DroppedEvents, JobEvent } from './job.ts'
import type { Settings } from './options.ts'
import { type Reply, readNothing } from './reply.ts'
import { CommandRequest } from './request.ts'
import type { EventFeed, FeedHooks } from './transport.ts'

export class LineFeed implements EventFeed {
  readonly #queues: readonly string[]
  readonly #types: readonly string[]
  readonly #hooks: FeedHooks
  readonly #connection: Connection
  readonly #first = new Deferred<void>()
  #current: CommandRequest<undefined>[] = []
  #started = false
  #interrupted = false

  constructor(settings: Settings, wish: EventWish, hooks: FeedHooks) {
    this.#queues = wish.queues.length === 0 ? ['*'] : wish.queues
    this.#types = wish.types.length === 0 ? ['*'] : wish.types
    this.#hooks = hooks
    this.#connection = new Connection(settings, {
      opened: () => void this.#subscribe(),
      lost: () => {},
      reconnecting: () => {
        this.#interrupted = this.#started
      },
      failed: (fault) => hooks.failed(fault),
      event: (message: Reply) => hooks.event(feedEventOf(message as unknown as JobEvent)),
    })
  }

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

  async #subscribe(): Promise<void> {
    for (const request of this.#current) {
      this.#connection.abandon(
        request,
        new FlashQError('connection_lost', 'Connection lost before the subscription was confirmed'),
      )
    }
    const requests = this.#queues.map(
      (queue) => new CommandRequest<undefined>(subscribeCommand(queue, this.#types), readNothing),
    )
    this.#current = requests
    for (const request of requests) this.#connection.send(request)
    try {
      await Promise.all(requests.map((request) => request.promise))
    } catch (error) {
      this.#refused(error)
      return
    }
    this.#started = true
    this.#first.resolve()
    if (this.#interrupted) this.#hooks.event({ event: 'dropped', count: 0 })
    this.#interrupted = false
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
    this.#hooks.failed(fault)
    this.#connection.reset(fault)
  }
}

function feedEventOf(message: JobEvent | DroppedEvents): FeedEvent {
  if (message.event === 'dropped') return { event: 'dropped', count: message.count }
  const { event, queue, job, timestamp, result, error } = message
  const given: QueueEvent = { event, queue, job_id: job.id, timestamp }
  if (event === 'pushed') given.data = job.data
  if (result !== undefined) given.data = result
  if (error !== undefined) given.error = error
  if (event === 'progress') given.progress = job.progress
  given.job = job
  return given
}
