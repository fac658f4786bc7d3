// The load process: it runs one `LoadSpec` at a time, in a process of its own so that it never shares a loop with a server.

import { askRepeatedly, subscribe } from './ask.ts'
import { client } from './client.ts'
import { cycle } from './cycle.ts'
import { drain } from './drain.ts'
import { grpcPush } from './grpc-push.ts'
import { httpPush } from './http-push.ts'
import { serveLines } from './line-server.ts'
import { push } from './push.ts'
import { relay } from './relay.ts'
import type { LoadResult, LoadSpec } from './spec.ts'
import { streams } from './streams.ts'

function run(spec: LoadSpec, stopped: () => boolean): Promise<LoadResult> {
  switch (spec.kind) {
    case 'push':
      return push(spec)
    case 'grpc-push':
      return grpcPush(spec)
    case 'http-push':
      return httpPush(spec)
    case 'drain':
      return drain(spec)
    case 'cycle':
      return cycle(spec)
    case 'relay':
      return relay(spec)
    case 'ask':
      return askRepeatedly(spec, stopped)
    case 'subscribe':
      return subscribe(spec, stopped)
    case 'streams':
      return streams(spec, stopped)
    case 'client':
      return client(spec)
  }
}

serveLines(run)
