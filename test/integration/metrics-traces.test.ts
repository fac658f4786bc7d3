// A job's trace context, from push to pull, and the spans that a collector gets.

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { databaseSettings } from '../support/durable-server.ts'
import { eventually } from '../support/eventually.ts'
import { HttpReader } from '../support/http-reader.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'

const HTTP = { HTTP: '1', HTTP_PORT: '0' }
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const CALLER = '00f067aa0ba902b7'
const SAMPLED = `00-${TRACE}-${CALLER}-01`

interface OtlpSpan {
  traceId: string
  spanId: string
  parentSpanId: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  traceState?: string
  attributes: { key: string; value: { stringValue?: string; intValue?: string } }[]
  status: { code: number; message?: string }
}

class Collector {
  readonly spans: OtlpSpan[] = []
  readonly resources: unknown[] = []
  status = 200
  private readonly server: Server

  private constructor() {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        if (request.url === '/v1/traces' && this.status === 200) this.take(Buffer.concat(chunks))
        response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}')
      })
    })
  }

  static async open(): Promise<Collector> {
    const collector = new Collector()
    await new Promise<void>((resolve) => collector.server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      collector.server.closeAllConnections()
      collector.server.close()
    })
    return collector
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async has(count: number): Promise<void> {
    await eventually(`${count} spans are there`, 10_000, () => this.spans.length >= count)
  }

  private take(body: Buffer): void {
    const { resourceSpans } = JSON.parse(body.toString()) as {
      resourceSpans: { resource: unknown; scopeSpans: { spans: OtlpSpan[] }[] }[]
    }
    for (const { resource, scopeSpans } of resourceSpans) {
      this.resources.push(resource)
      for (const { spans } of scopeSpans) this.spans.push(...spans)
    }
  }
}

async function pulled(server: ServerProcess, queue: string): Promise<Record<string, unknown>> {
  const client = await server.client()
  client.send({ cmd: 'PULL', queue, wait: 0 })
  const { job } = (await client.object()) as { job: Record<string, unknown> }
  return job
}

function attribute(span: OtlpSpan | undefined, name: string): string | undefined {
  const value = span?.attributes.find(({ key }) => key === name)?.value
  return value?.stringValue ?? value?.intValue
}

describe('a trace context', () => {
  it('that comes with a push is given back on pull, over any door', async () => {
    const server = await startServer(HTTP)
    const http = new HttpReader(server)
    const headers = { traceparent: SAMPLED, tracestate: 'vendor=1' }
    const body = '{"data": {"n": 1},"tags":["mine"]}'
    const { text } = await http.post('/queues/a/jobs', body, headers)
    expect(text).toContain('"data":{"n": 1}')
    const job = await pulled(server, 'a')
    expect(job).toMatchObject({
      traceparent: SAMPLED,
      tracestate: 'vendor=1',
      tags: [`trace:${SAMPLED}`, 'tracestate:vendor=1', 'mine'],
      data: { n: 1 },
    })
    await http.post('/queues/b/jobs', '{"data":1}', { traceparent: 'nonsense' })
    expect(await pulled(server, 'b')).not.toHaveProperty('traceparent')
  })

  it('may be given as a tag on the line protocol', async () => {
    const server = await startServer(HTTP)
    const client = await server.client()
    client.send({ cmd: 'PUSH', queue: 'a', data: 1, tags: [`trace:${SAMPLED}`] })
    await client.line()
    expect(await pulled(server, 'a')).toMatchObject({ traceparent: SAMPLED })
  })

  it('survives with the job', async () => {
    const settings = { ...HTTP, ...(await databaseSettings()) }
    const first = await startServer(settings)
    await new HttpReader(first).post('/queues/a/jobs', '{"data":1}', { traceparent: SAMPLED })
    await first.stop()
    expect(await pulled(await startServer(settings), 'a')).toMatchObject({ traceparent: SAMPLED })
  })
})

describe('spans', () => {
  it('of a push and of every run reach the collector, linked to the caller and to each other', async () => {
    const collector = await Collector.open()
    const server = await startServer({ ...HTTP, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    const http = new HttpReader(server)
    const client = await server.client()
    const run = async (queue: string, end: object): Promise<void> => {
      const { id } = await pulled(server, queue)
      client.send({ ...end, id })
      expect(await client.object()).toEqual({ ok: true })
    }
    const body = '{"data":1,"max_attempts":2}'
    await http.post('/queues/mail/jobs', body, { traceparent: SAMPLED, tracestate: 'v=1' })
    await http.post('/queues/mail2/jobs', body, { traceparent: SAMPLED })
    await run('mail', { cmd: 'FAIL', error: 'no net' })
    await run('mail', { cmd: 'ACK' })
    await run('mail2', { cmd: 'FAIL', error: 'again' })
    await run('mail2', { cmd: 'FAIL', error: 'dead' })
    await collector.has(6)
    const of = (queue: string, kind: number): OtlpSpan[] =>
      collector.spans
        .filter(
          (span) => attribute(span, 'messaging.destination.name') === queue && span.kind === kind,
        )
        .sort(
          (a, b) =>
            Number(attribute(a, 'flashq.job.attempts')) -
            Number(attribute(b, 'flashq.job.attempts')),
        )
    const [push] = of('mail', 4)
    expect(push).toMatchObject({
      traceId: TRACE,
      parentSpanId: CALLER,
      name: 'mail publish',
      traceState: 'v=1',
    })
    const runs = of('mail', 5)
    expect(runs.map((span) => attribute(span, 'flashq.job.outcome'))).toEqual([
      'retrying',
      'completed',
    ])
    expect(runs.map(({ status }) => status)).toEqual([{ code: 2, message: 'no net' }, { code: 0 }])
    for (const span of runs) {
      expect(span).toMatchObject({
        traceId: TRACE,
        parentSpanId: push?.spanId,
        name: 'mail process',
      })
      expect(Number(span.startTimeUnixNano)).toBeLessThanOrEqual(Number(span.endTimeUnixNano))
      expect(Number(span.startTimeUnixNano)).toBeGreaterThan(1.7e18)
    }
    const outcomes = of('mail2', 5).map((span) => attribute(span, 'flashq.job.outcome'))
    expect(outcomes).toEqual(['retrying', 'failed'])
    expect(new Set(collector.spans.map(({ spanId }) => spanId)).size).toBe(6)
    expect(JSON.stringify(collector.resources[0])).toContain('"service.name"')
    const text = await http.metrics()
    expect(text.value('flashq_spans_exported_total')).toBe(6)
    expect(text.value('flashq_spans_dropped_total')).toBe(0)
  })

  it('are made of contexts that are sampled, and of no other job', async () => {
    const collector = await Collector.open()
    const server = await startServer({ ...HTTP, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    const http = new HttpReader(server)
    await http.post('/queues/a/jobs', '{"data":1}')
    await http.post('/queues/a/jobs', '{"data":1}', { traceparent: `00-${TRACE}-${CALLER}-00` })
    await http.post('/queues/b/jobs', '{"data":1}', { traceparent: SAMPLED })
    await collector.has(1)
    expect(collector.spans.map(({ name }) => name)).toEqual(['b publish'])
  })

  it('are dropped and counted while the collector is away, and jobs notice nothing', async () => {
    const collector = await Collector.open()
    collector.status = 503
    const server = await startServer({ ...HTTP, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    const http = new HttpReader(server)
    const { status } = await http.post('/queues/a/jobs', '{"data":1}', { traceparent: SAMPLED })
    expect(status).toBe(200)
    await server.logged('spans are dropped')
    await eventually('they are counted', 5000, async () => {
      return (await http.metrics()).value('flashq_spans_dropped_total') === 1
    })
    expect(await pulled(server, 'a')).toMatchObject({ traceparent: SAMPLED })
  })
})
