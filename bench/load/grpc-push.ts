// PushBatch over gRPC as fast as replies come: HTTP/2 as it is, so that the load process costs as little as may be. Each
// connection has one call under way; the message is built once before the clock starts.

import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { payload } from './frames.ts'
import type { GrpcPushSpec, LoadResult } from './spec.ts'
import { Window } from './window.ts'

const headers = {
  ':method': 'POST',
  ':path': '/flashq.QueueService/PushBatch',
  'content-type': 'application/grpc',
  te: 'trailers',
}

export async function grpcPush(spec: GrpcPushSpec): Promise<LoadResult> {
  const message = framed(pushBatchMessage(spec.queue, spec.batch, spec.dataBytes))
  const sessions = await Promise.all(
    Array.from({ length: spec.connections }, () => open(spec.at.host, spec.at.port)),
  )
  const window = new Window(spec.warmupMs, spec.measureMs)
  let goesOn = true
  const pushOn = async (session: ClientHttp2Session): Promise<void> => {
    while (goesOn) {
      await call(session, message, spec.batch)
      goesOn = window.add(spec.batch) && goesOn
    }
  }
  try {
    await Promise.all(sessions.map(pushOn))
  } finally {
    for (const session of sessions) session.destroy()
  }
  return { jobs: window.total, perSecond: window.perSecond() }
}

/** Resolves when the reply has come: it must be fine, and as long as so many ids. */
function call(session: ClientHttp2Session, message: Buffer, ids: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers)
    let bytes = 0
    let status = ''
    let details = ''
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    const note = (fields: Record<string, unknown>): void => {
      status = String(fields['grpc-status'] ?? status)
      details = String(fields['grpc-message'] ?? details)
    }
    stream.on('response', note)
    stream.on('trailers', note)
    stream.on('error', reject)
    stream.on('close', () => {
      if (status === '0' && bytes > ids) resolve()
      else reject(new Error(`PushBatch ended with ${status} ${details}, ${bytes} bytes`))
    })
    stream.end(message)
  })
}

async function open(host: string, port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://${host}:${port}`)
  await once(session, 'connect')
  return session
}

/** `PushBatchRequest`: queue = 1, jobs = 2; `JobInput`: data = 1. */
function pushBatchMessage(queue: string, jobs: number, dataBytes: number): Buffer {
  const parts = [field(1, Buffer.from(queue))]
  for (let i = 0; i < jobs; i++) parts.push(field(2, field(1, Buffer.from(payload(dataBytes, i)))))
  return Buffer.concat(parts)
}

function field(no: number, bytes: Buffer): Buffer {
  const head = [no * 8 + 2]
  let rest = bytes.length
  while (rest > 127) {
    head.push((rest & 127) | 128)
    rest >>>= 7
  }
  head.push(rest)
  return Buffer.concat([Buffer.from(head), bytes])
}

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}
