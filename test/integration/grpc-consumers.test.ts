// Who consumes over gRPC, as `/workers` shows it.

import { Metadata, status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { GrpcClient } from '../support/grpc-client.ts'
import { HttpReader } from '../support/http-reader.ts'
import { SharedServer } from '../support/shared-server.ts'

const WITHIN_MS = 15_000

interface Consumer {
  readonly id: string
  readonly queues: readonly string[]
  readonly [field: string]: unknown
}

describe('a consumer over gRPC', () => {
  const server = new SharedServer({ GRPC: '1', GRPC_PORT: '0', HTTP: '1', HTTP_PORT: '0' })
  const named = (fields: Readonly<Record<string, string>>): Metadata => {
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(fields)) metadata.set(name, value)
    return metadata
  }
  const open = (fields: Readonly<Record<string, string>> = {}): GrpcClient =>
    new GrpcClient(server.process.grpcPort, named(fields)).closeAfterTest()
  const listed = async (queue: string): Promise<Consumer[]> => {
    const all = await new HttpReader(server.process).data<Consumer[]>('/workers')
    return all.filter(({ queues }) => queues.includes(queue))
  }
  const none = (queue: string) => async (): Promise<boolean> => (await listed(queue)).length === 0

  it('is a stream, with its name, what it has out and what it has completed', async () => {
    const queue = 'streamed'
    const client = open({ 'flashq-consumer': 'mailer', 'flashq-version': '1.2.3' })
    for (const n of [1, 2, 3]) await client.push(queue, n, { max_attempts: 1 })
    const flow = client.out('StreamJobs', { queue })
    const [one, two] = await flow.until(3)
    await client.call('Ack', { id: one?.id })
    await client.call('Fail', { id: two?.id })
    expect(await listed(queue)).toEqual([
      {
        ...{ id: 'mailer', queues: [queue], jobs_processed: 1, active: 1, concurrency: 0 },
        ...{ host: null, version: '1.2.3', address: '127.0.0.1', door: 'grpc', connections: 1 },
        last_heartbeat: expect.any(Number),
      },
    ])
    flow.call.cancel()
    await flow.ended
    await eventually('it is gone', WITHIN_MS, none(queue))
  })

  it('is a call that takes jobs and gives results, with or without a name', async () => {
    const queue = 'processed'
    const metadata = named({ queue, 'flashq-consumer': 'maker', 'flashq-concurrency': '7' })
    const client = open()
    const flow = client.both('ProcessJobs', metadata)
    const id = await client.push(queue, 1)
    await flow.until(1)
    flow.call.write({ id, success: true })
    await eventually('it is done', WITHIN_MS, async () => {
      const [maker] = await listed(queue)
      return maker?.['jobs_processed'] === 1
    })
    const nameless = client.both('ProcessJobs', named({ queue }))
    await eventually('both are there', WITHIN_MS, async () => (await listed(queue)).length === 2)
    expect(await listed(queue)).toMatchObject([
      { id: expect.stringMatching(/^grpc-\d+$/), concurrency: 0, active: 0 },
      { id: 'maker', concurrency: 7, active: 0 },
    ])
    for (const { call, ended } of [flow, nameless]) {
      call.end()
      await ended
    }
    await eventually('they are gone', WITHIN_MS, none(queue))
  })

  it('is a program that pulls with a name, while it waits and for a while after', async () => {
    const queue = 'pulled'
    const client = open({ 'flashq-consumer': 'puller', 'flashq-host': 'here' })
    const pulled = client.job('Pull', { queue })
    await eventually('it waits', WITHIN_MS, async () => (await listed(queue)).length === 1)
    expect(await listed(queue)).toMatchObject([{ id: 'puller', host: 'here', connections: 1 }])
    const other = open()
    await other.push(queue, 1)
    await pulled
    expect(await listed(queue)).toMatchObject([
      { id: 'puller', host: 'here', connections: 0, door: 'grpc' },
    ])
    // Who has no name, and who may have no jobs, is none.
    await other.call('Pull', { queue: 'nameless', wait_ms: 0 })
    expect(await listed('nameless')).toEqual([])
    expect((await client.failure('Pull', { queue: 'a b' })).code).toBe('queue_name_invalid')
    expect(await listed('a b')).toEqual([])
  })

  it('with a name that cannot be is refused on every call that takes jobs', async () => {
    const refused = { status: status.INVALID_ARGUMENT, code: 'invalid' }
    const long = { 'flashq-consumer': 'x'.repeat(129) }
    const client = open(long)
    expect(await client.failure('Pull', { queue: 'q', wait_ms: 0 })).toMatchObject(refused)
    expect(await client.out('StreamJobs', { queue: 'q' }).ended).toMatchObject(refused)
    expect(await client.both('ProcessJobs', named(long)).ended).toMatchObject(refused)
  })
})
