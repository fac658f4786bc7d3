// HTTP as a way to the server. Nothing below this file needs more than fetch.

import type { Door } from '../transport.ts'
import { HttpTransport } from './http-transport.ts'
import { SseFeed } from './sse-feed.ts'

export const HTTP_DOOR: Door = {
  isHttp: true,
  transport: (settings, hooks) => new HttpTransport(settings, hooks),
  feed: (settings, wish, hooks) => new SseFeed(settings, wish, hooks),
}
