// The client's feeds of events: for listeners and for loops. All end with the client.

import type { EventOptions } from './call-options.ts'
import type { EventWish, FeedEvent } from './event.ts'
import { EventStream } from './event-stream.ts'
import type { EventName } from './job.ts'
import { within } from './options.ts'
import type { EventFeed } from './transport.ts'

type OpenFeed = (wish: EventWish, event: (event: FeedEvent) => void) => EventFeed

const BUFFER_EVENTS = 1000
const BUFFER_EVENTS_MAX = 1_000_000

export class Feeds {
  readonly #open: OpenFeed
  /** With the loop that each one feeds, if it is one. */
  readonly #feeds = new Map<EventFeed, EventStream | null>()

  constructor(open: OpenFeed) {
    this.#open = open
  }

  /** Resolves, when the server has confirmed, to what ends it. */
  async subscribe(
    queue: string,
    events: readonly (EventName | '*')[],
    tell: (event: FeedEvent) => void,
  ): Promise<() => Promise<void>> {
    const types = events.filter((name) => name !== '*')
    const queues = queue === '*' ? [] : [queue]
    const feed = this.#open({ queues, types: types.length < events.length ? [] : types }, tell)
    this.#feeds.set(feed, null)
    try {
      await feed.start()
    } catch (error) {
      this.#feeds.delete(feed)
      throw error
    }
    return () => this.#stop(feed)
  }

  stream(options: EventOptions): EventStream {
    const bufferMax = within('buffer', options.buffer ?? BUFFER_EVENTS, 1, BUFFER_EVENTS_MAX)
    const wish = { queues: options.queues ?? [], types: options.types ?? [] }
    const stream = new EventStream(bufferMax, () => this.#stop(feed))
    const feed = this.#open(wish, (event) => stream.add(event))
    this.#feeds.set(feed, stream)
    stream.follow(feed.start())
    return stream
  }

  async close(): Promise<void> {
    const feeds = [...this.#feeds.keys()]
    for (const stream of this.#feeds.values()) stream?.end()
    this.#feeds.clear()
    await Promise.all(feeds.map((feed) => feed.stop()))
  }

  #stop(feed: EventFeed): Promise<void> {
    this.#feeds.delete(feed)
    return feed.stop()
  }
}
