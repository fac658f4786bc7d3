// The client of Node, Bun and Deno: over TCP or a Unix socket, or by HTTP with `useHttp`.

import { Connection } from './connection.ts'
import { FlashQClient } from './flashq.ts'
import { HTTP_DOOR } from './http/http-door.ts'
import { LineFeed } from './line-feed.ts'
import { type ClientOptions, isHttp } from './options.ts'
import type { Door } from './transport.ts'

const LINE_DOOR: Door = {
  isHttp: false,
  transport: (settings, hooks) => new Connection(settings, hooks),
  feed: (settings, wish, hooks) => new LineFeed(settings, wish, hooks),
}

export class FlashQ extends FlashQClient {
  constructor(options: ClientOptions = {}) {
    super(options, isHttp(options) ? HTTP_DOOR : LINE_DOOR)
  }
}
