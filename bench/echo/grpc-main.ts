// A bare grpc-js service with the messages of `proto/flashq.proto` that does nothing: the ceiling for gRPC.
//
//   messages  as anybody writes a service: requests become objects, the canned reply is encoded from one
//   bytes     requests stay bytes and the reply is canned bytes: what grpc-js and HTTP/2 alone cost
//
// Arguments: PORT BATCH KIND.

import { fileURLToPath } from 'node:url'
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

/** As the other echoes give them. */
const firstId = 41_234_567_890_016

const [port, batchText, kind] = process.argv.slice(2)
const batch = Number(batchText)
const reply = { ok: true, ids: Array.from({ length: batch }, (_, i) => String(firstId + i * 32)) }

const file = fileURLToPath(new URL('../../proto/flashq.proto', import.meta.url))
const loaded = loadSync(file, { keepCase: true, longs: String, enums: String, defaults: true })
const { flashq } = loadPackageDefinition(loaded) as {
  flashq: { QueueService: ServiceClientConstructor }
}
const service = flashq.QueueService.service['PushBatch'] as ServiceDefinition[string]
const canned = service.responseSerialize(reply)
const definition: ServiceDefinition =
  kind === 'bytes'
    ? {
        PushBatch: {
          ...service,
          requestDeserialize: (bytes: Buffer) => bytes,
          responseSerialize: () => canned,
        },
      }
    : { PushBatch: service }

const server = new Server({
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  'grpc.enable_channelz': 0,
})
server.addService(definition, {
  PushBatch: (_call: unknown, callback: (error: null, reply: object) => void) =>
    callback(null, reply),
})
server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error
})
process.on('SIGTERM', () => process.exit(0))
