// Streams of jobs over gRPC: what is taken, when credit comes back, and what becomes of jobs whose stream ends.

import { connect } from 'node:http2'
import { Metadata, status } from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type Fields, GrpcClient, packageDefinition } from '../support/grpc-client.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'

const GRPC = { GRPC: '1', GRPC_PORT: '0', WORKERS: '2' }
const WITHIN_MS = 5000
let queues = 0
const newQueue = (): string => `stream-${++queues}`

describe('streams of jobs', () => {
  const server = new SharedServer(GRPC)
  const open = (): GrpcClient => clientOf(server.process)

  describe('StreamJobs', () => {
    it('has at most `prefetch` jobs out, and each ack, fail, cancel or release lets one more come', async () => {
      const [client, other] = [open(), open()]
      const queue = newQueue()
      await pushMany(client, queue, 10)
      const flow = client.out('StreamJobs', { queue, prefetch: 3, batch_size: 2 })
      const jobs = await flow.until(3)
      expect(await processingOf(other, queue)).toBe(3)
      expect(jobs.map(({ data }) => String(data))).toEqual(['0', '1', '2'])
      expect(Number(jobs[0]?.token)).toBeGreaterThan(0)
      await client.call('Ack', { id: jobs[0]?.id, token: jobs[0]?.token })
      await flow.until(4)
      await client.call('AckBatch', { ids: [jobs[1]?.id, jobs[2]?.id, '9999'] })
      await flow.until(6)
      await client.call('Cancel', { id: jobs[3]?.id })
      await flow.until(7)
      // Of no run any more, it comes back to this very stream when it is its turn.
      await client.call('Release', { ids: [jobs[4]?.id] })
      await flow.until(8)
      expect(await processingOf(other, queue)).toBe(3)
      await client.call('Fail', { id: jobs[5]?.id, error: 'x' })
      await flow.until(9)
      expect(await processingOf(other, queue)).toBe(3)
      flow.call.cancel()
      await flow.ended
    })

    it('learns of acks that came through another door', async () => {
      const client = open()
      const tcp = await server.client()
      const queue = newQueue()
      await pushMany(client, queue, 4)
      const flow = client.out('StreamJobs', { queue, prefetch: 2, batch_size: 100 })
      const jobs = await flow.until(2)
      const ids = jobs.map(({ id }) => Number(id))
      expect(await tcp.ok({ cmd: 'ACKB', ids })).toMatchObject({ ids: [2] })
      await flow.until(4)
      flow.call.cancel()
      await flow.ended
    })

    it('gives jobs back at once, uncounted, when it is cancelled', async () => {
      const [client, other] = [open(), open()]
      const queue = newQueue()
      await pushMany(client, queue, 5)
      const flow = client.out('StreamJobs', { queue, prefetch: 4, batch_size: 4 })
      const jobs = await flow.until(4)
      await client.call('Ack', { id: jobs[1]?.id })
      await flow.until(5)
      flow.call.cancel()
      const again = await pullAll(other, queue, 4)
      expect(again.map(({ data }) => String(data))).toEqual(['0', '2', '3', '4'])
      expect(again.every(({ attempts }) => attempts === 0)).toBe(true)
    })

    it('gives jobs back when its connection is lost', async () => {
      const [client, other] = [open(), open()]
      const queue = newQueue()
      const session = connect(`http://127.0.0.1:${server.process.grpcPort}`)
      session.on('error', () => undefined)
      const stream = session.request(headersOf('StreamJobs'))
      stream.on('error', () => undefined)
      stream.resume()
      stream.end(messageOf('StreamJobs', { queue, prefetch: 10 }))
      await pushMany(client, queue, 3)
      await eventually('the stream has them', WITHIN_MS, async () => {
        return (await processingOf(other, queue)) === 3
      })
      session.destroy()
      expect(await pullAll(other, queue, 3)).toHaveLength(3)
    })

    it('takes no more than one batch for a reader that does not read', async () => {
      const client = open()
      const queue = newQueue()
      await pushMany(client, queue, 50)
      const session = connect(`http://127.0.0.1:${server.process.grpcPort}`, {
        settings: { initialWindowSize: 1 },
      })
      onTestFinished(() => session.destroy())
      const stream = session.request(headersOf('StreamJobs'))
      // Paused: nothing is read, so the window never opens.
      stream.pause()
      stream.end(messageOf('StreamJobs', { queue, prefetch: 1000, batch_size: 7 }))
      await eventually('a batch is taken', WITHIN_MS, async () => {
        return (await processingOf(client, queue)) === 7
      })
      for (let i = 0; i < 50; i++) expect(await processingOf(client, queue)).toBe(7)
      stream.resume()
      await eventually('now it is read', WITHIN_MS, async () => {
        return (await processingOf(client, queue)) === 50
      })
    })

    it('refuses a queue that cannot be', async () => {
      const flow = open().out('StreamJobs', { queue: 'a b' })
      expect(await flow.ended).toMatchObject({
        status: status.INVALID_ARGUMENT,
        code: 'queue_name_invalid',
      })
    })

    it('ends with its deadline, and its jobs return', async () => {
      const client = open()
      const queue = newQueue()
      await pushMany(client, queue, 1)
      const session = connect(`http://127.0.0.1:${server.process.grpcPort}`)
      onTestFinished(() => session.destroy())
      const headers = { ...headersOf('StreamJobs'), 'grpc-timeout': '300m' }
      const stream = session.request(headers)
      const trailers = new Promise<Fields>((resolve) => stream.on('trailers', resolve))
      stream.resume()
      stream.end(messageOf('StreamJobs', { queue }))
      expect((await trailers)['grpc-status']).toBe(String(status.DEADLINE_EXCEEDED))
      expect(await pullAll(client, queue, 1)).toHaveLength(1)
    })
  })

  describe('ProcessJobs', () => {
    it('sends jobs of its queue as results come in', async () => {
      const [client, other] = [open(), open()]
      const queue = newQueue()
      await pushMany(client, queue, 5)
      const flow = client.both('ProcessJobs', processMetadata(queue, 2))
      const jobs = await flow.until(2)
      expect(await processingOf(other, queue)).toBe(2)
      const [first, second] = jobs.map(({ id }) => id)
      flow.call.write({ id: first, success: true, result: Buffer.from('{"a":1.0}') })
      await flow.until(3)
      flow.call.write({ id: second, success: false, error: 'broken' })
      await flow.until(4)
      expect(await processingOf(other, queue)).toBe(2)
      expect(String((await other.call('GetResult', { id: first }))['result'])).toBe('{"a":1.0}')
      const { job } = (await other.call('GetJob', { id: second })) as { job: Fields }
      expect(job).toMatchObject({ attempts: 1, progress_msg: 'broken' })
      flow.call.cancel()
      await flow.ended
    })

    it('uses the queue `default` when none is named, and ignores results of jobs that are not out', async () => {
      const client = open()
      const stray = await client.push(newQueue(), 1)
      await client.push('default', 'd')
      const flow = client.both('ProcessJobs', new Metadata())
      const [job] = await flow.until(1)
      flow.call.write({ id: stray, success: true })
      flow.call.write({ id: job?.id, success: true, result: Buffer.from('no json') })
      flow.call.end()
      expect(await flow.ended).toBeNull()
      expect((await client.call('GetState', { id: stray }))['state']).toBe('JOB_STATE_WAITING')
      expect((await client.call('GetState', { id: job?.id }))['state']).toBe('JOB_STATE_COMPLETED')
    })

    it('after the half-close takes no new jobs, waits for those that are out, and ends', async () => {
      const [client, other] = [open(), open()]
      const queue = newQueue()
      await pushMany(client, queue, 2)
      const flow = client.both('ProcessJobs', processMetadata(queue, 10))
      const jobs = await flow.until(2)
      flow.call.end()
      // The results of the first half come with the end; those of the second are acks of another call.
      await other.call('Ack', { id: jobs[0]?.id })
      const late = await other.push(queue, 'late')
      expect((await other.job('Pull', { queue, wait_ms: WITHIN_MS })).id).toBe(late)
      await other.call('Ack', { id: jobs[1]?.id })
      expect(await flow.ended).toBeNull()
      expect(flow.got).toHaveLength(2)
    })

    it('fails a job whose result cannot be kept', async () => {
      const client = open()
      const queue = newQueue()
      const id = await client.push(queue, 1, { max_attempts: 1 })
      const flow = client.both('ProcessJobs', processMetadata(queue, 1))
      await flow.until(1)
      const result = Buffer.from(JSON.stringify('x'.repeat(1_100_000)))
      flow.call.write({ id, success: true, result })
      flow.call.end()
      expect(await flow.ended).toBeNull()
      const { jobs } = (await client.call('Dlq', { queue })) as { jobs: Fields[] }
      expect(jobs).toMatchObject([{ id, progress_msg: expect.stringMatching(/^Result too large/) }])
    })

    it('refuses a prefetch that is no number', async () => {
      const metadata = processMetadata(newQueue(), 1)
      metadata.set('prefetch', '-1')
      const flow = open().both('ProcessJobs', metadata)
      expect(await flow.ended).toMatchObject({ status: status.INVALID_ARGUMENT, code: 'invalid' })
    })
  })

  describe('Subscribe', () => {
    it('sends the events of a queue, wherever it lives', async () => {
      const client = open()
      for (let i = 0; i < 4; i++) {
        const queue = newQueue()
        const flow = client.out('Subscribe', { queue, events: ['pushed', 'completed'] })
        await new Promise((resolve) => flow.call.on('metadata', resolve))
        const id = await client.push(queue, { n: i })
        await client.call('Pull', { queue })
        await client.call('Ack', { id, result: Buffer.from('[7]') })
        const events = await flow.until(2)
        expect(events).toMatchObject([
          { event: 'pushed', queue, job: { id, data: Buffer.from(`{"n":${i}}`) } },
          { event: 'completed', queue, job: { id }, result: Buffer.from('[7]'), dropped: '0' },
        ])
        flow.call.cancel()
        await flow.ended
      }
    })

    it('refuses events that there are not', async () => {
      const flow = open().out('Subscribe', { queue: newQueue(), events: ['born'] })
      expect(await flow.ended).toMatchObject({ status: status.INVALID_ARGUMENT, code: 'invalid' })
    })
  })
})

describe('a server that stops', () => {
  it('ends streams and waiting pulls with UNAVAILABLE, and answers what is in flight', async () => {
    const server = await startServer(GRPC)
    const clients = Array.from({ length: 4 }, () => clientOf(server))
    const queue = newQueue()
    const flows = clients.flatMap((client) => [
      client.out('StreamJobs', { queue }),
      client.both('ProcessJobs', processMetadata(queue, 3)),
      client.out('Subscribe', { queue, events: ['*'] }),
    ])
    const headers = flows.map(({ call }) => new Promise((resolve) => call.on('metadata', resolve)))
    const pulls = clients.map((client) => client.failure('Pull', { queue: newQueue() }))
    await Promise.all(headers)
    const [first] = clients as [GrpcClient]
    await pushMany(first, queue, 5)
    await eventually('all are out', WITHIN_MS, async () => (await processingOf(first, queue)) === 5)
    const stopped = server.stop()
    for (const { ended } of flows) {
      expect(await ended).toMatchObject({ status: status.UNAVAILABLE, code: 'draining' })
    }
    for (const pull of pulls) expect(await pull).toMatchObject({ status: status.UNAVAILABLE })
    expect(await stopped).toEqual({ code: 0, signal: null })
  })
})

function clientOf(server: ServerProcess): GrpcClient {
  return new GrpcClient(server.grpcPort, new Metadata()).closeAfterTest()
}

function processMetadata(queue: string, prefetch: number): Metadata {
  const metadata = new Metadata()
  metadata.set('queue', queue)
  metadata.set('prefetch', String(prefetch))
  return metadata
}

async function pushMany(client: GrpcClient, queue: string, count: number): Promise<void> {
  const jobs = Array.from({ length: count }, (_, i) => ({ data: Buffer.from(String(i)) }))
  await client.call('PushBatch', { queue, jobs })
}

async function processingOf(client: GrpcClient, queue: string): Promise<number> {
  const { queues: all } = (await client.call('ListQueues')) as { queues: Fields[] }
  return Number(all.find(({ name }) => name === queue)?.['processing'])
}

async function pullAll(client: GrpcClient, queue: string, count: number): Promise<Fields[]> {
  const got: Fields[] = []
  while (got.length < count) {
    const reply = await client.call('PullBatch', { queue, count, wait_ms: WITHIN_MS })
    const jobs = reply['jobs'] as Fields[]
    if (jobs.length === 0) throw new Error(`only ${got.length} jobs came`)
    got.push(...jobs)
  }
  return got
}

/** A call without a client: HTTP/2 as it is. */
function headersOf(name: string): Record<string, string> {
  return {
    ':method': 'POST',
    ':path': `/flashq.QueueService/${name}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  }
}

function messageOf(name: string, request: Fields): Buffer {
  const service = packageDefinition['flashq.QueueService'] as unknown as Record<
    string,
    { requestSerialize(request: Fields): Buffer }
  >
  const message = service[name]?.requestSerialize(request) ?? Buffer.alloc(0)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}
