// PushBatch x 1,000 over gRPC on ten connections, one worker, against a bare grpc-js service with the same messages that
// answers with a canned reply; and, for information, against one that does not even look at them.
//
// What was pushed is taken away over TCP after each slice, so the server starts each one empty.

import { type GrpcEchoKind, startGrpcEcho } from '../servers/grpc-echo.ts'
import { freePort } from '../servers/ready.ts'
import type { Server } from '../servers/server.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast, type Side, type Slice, timed } from './compare.ts'

const bar = ratioAtLeast(0.5, 0.8)

export const grpc: Scenario = {
  name: 'grpc',
  peer: false,
  foreign: false,
  run: async (bench) => {
    const port = await freePort()
    const settings = { GRPC: '1', GRPC_PORT: String(port) }
    const echo = (kind: GrpcEchoKind): Promise<Server> => startGrpcEcho(kind, standard.batch)
    const servers = [bench.startServer(1, { settings }), echo('messages'), echo('bytes')] as const
    await withServers(servers, async ([server, messages, bytes]) => {
      const side = (name: string, at: Server, slice: () => Promise<Slice>): Side => ({
        name,
        server: at,
        slices: async () => [await slice()],
      })
      const [push = []] = await inTurn(bench.mode.rounds, [
        side('FlashQ', server, () => pushThenEmpty(bench, server, port)),
        side('grpc-js echo', messages, () => pushFor(bench, messages, messages.at.port, 'bench')),
        side('grpc-js byte echo', bytes, () => pushFor(bench, bytes, bytes.at.port, 'bench')),
      ])
      const [ours, withMessages, withBytes] = push
      if (ours === undefined || withMessages === undefined || withBytes === undefined) return
      const what = `gRPC PushBatch x 1,000, 10 connections, 1 worker, ${standard.dataBytes} B`
      addComparison(bench, { scenario: 'grpc', what, sides: [ours, withMessages], bar })
      const note = 'requests are not read, the reply is canned bytes'
      addComparison(bench, { scenario: 'grpc', what, sides: [ours, withBytes], note })
    })
  },
}

function pushFor(bench: Bench, server: Server, port: number, queue: string): Promise<Slice> {
  return timed(server, () =>
    bench.load.run({
      kind: 'grpc-push',
      at: { host: server.at.host, port },
      queue,
      connections: standard.connections,
      batch: standard.batch,
      dataBytes: standard.dataBytes,
      warmupMs: bench.mode.warmupMs,
      measureMs: bench.mode.sliceMs,
    }),
  )
}

async function pushThenEmpty(bench: Bench, server: Server, port: number): Promise<Slice> {
  const queue = bench.newQueue('grpc')
  const slice = await pushFor(bench, server, port, queue)
  await bench.load.run({
    kind: 'drain',
    at: server.at,
    queues: [queue],
    jobsPerQueue: [slice.jobs],
    connections: standard.connections,
    batch: standard.batch,
    results: false,
  })
  return slice
}
