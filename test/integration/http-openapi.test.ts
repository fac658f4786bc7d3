// The OpenAPI document: complete, sound, and true of real answers.

import { beforeAll, describe, expect, it } from 'vitest'
import { type HttpAnswer, type HttpAsk, HttpClient } from '../support/http-client.ts'
import { schemaErrors } from '../support/json-schema.ts'
import { startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'

type Schema = Record<string, unknown>

interface Operation {
  readonly tags: string[]
  readonly summary: string
  readonly parameters?: { name: string; in: string; schema: Schema }[]
  readonly responses: Record<string, { content?: Record<string, { schema: Schema }> }>
}

interface Document {
  readonly openapi: string
  readonly info: Record<string, unknown>
  readonly tags: { name: string }[]
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { schemas: Record<string, Schema> }
}

/** Each with a path that it is asked with. `Q` is a queue; `J`, `P` and `D` are a job that waits, is pulled, has failed. */
const ROUTES: readonly (readonly [operation: string, path: string, body?: object])[] = [
  ['POST /queues/{queue}/jobs', '/queues/Q/jobs', { data: 1 }],
  ['POST /queues/{queue}/jobs/batch', '/queues/Q/jobs/batch', { jobs: [{ data: 1 }] }],
  ['POST /webhooks/incoming/{queue}', '/webhooks/incoming/Q', {}],
  ['GET /jobs', '/jobs?queue=Q&limit=2'],
  ['GET /jobs/{id}', '/jobs/J'],
  ['GET /jobs/{id}/state', '/jobs/J/state'],
  ['POST /jobs/{id}/logs', '/jobs/J/logs', { line: 'x' }],
  ['GET /jobs/{id}/logs', '/jobs/J/logs'],
  ['POST /jobs/{id}/progress', '/jobs/P/progress', { progress: 5, message: 'x' }],
  ['GET /jobs/{id}/progress', '/jobs/P/progress'],
  ['POST /jobs/{id}/heartbeat', '/jobs/P/heartbeat'],
  ['POST /jobs/heartbeat', '/jobs/heartbeat', { ids: [1] }],
  ['POST /jobs/{id}/ack', '/jobs/P/ack', { result: [1] }],
  ['GET /jobs/{id}/result', '/jobs/P/result'],
  ['POST /jobs/{id}/fail', '/jobs/P/fail'],
  ['POST /jobs/{id}/release', '/jobs/P/release'],
  ['POST /jobs/{id}/promote', '/jobs/J/promote'],
  ['POST /jobs/{id}/cancel', '/jobs/J/cancel'],
  ['POST /jobs/ack', '/jobs/ack', { ids: [1] }],
  ['POST /jobs/release', '/jobs/release', { ids: [1] }],
  ['GET /queues/{queue}/dlq', '/queues/Q/dlq'],
  ['POST /queues/{queue}/dlq/{id}/retry', '/queues/Q/dlq/D/retry'],
  ['POST /queues/{queue}/dlq/retry', '/queues/Q/dlq/retry'],
  ['DELETE /queues/{queue}/dlq', '/queues/Q/dlq'],
  ['GET /queues/{queue}/jobs', '/queues/Q/jobs?count=2&token=true&timeout=0'],
  ['POST /queues/{queue}/pull', '/queues/Q/pull', { count: 2, lease: 1000, timeout: 0 }],
  ['GET /queues', '/queues'],
  ['POST /queues/{queue}/pause', '/queues/Q/pause'],
  ['POST /queues/{queue}/resume', '/queues/Q/resume'],
  ['POST /queues/{queue}/rate-limit', '/queues/Q/rate-limit', { limit: 100 }],
  ['DELETE /queues/{queue}/rate-limit', '/queues/Q/rate-limit'],
  ['POST /queues/{queue}/concurrency', '/queues/Q/concurrency', { limit: 100 }],
  ['DELETE /queues/{queue}/concurrency', '/queues/Q/concurrency'],
  ['POST /queues/{queue}/drain', '/queues/Q/drain'],
  ['DELETE /queues/{queue}', '/queues/Q?force=true'],
  ['POST /crons/{name}', '/crons/n', { queue: 'c', schedule: '0 0 3 * * *', data: 1 }],
  ['GET /crons', '/crons'],
  ['DELETE /crons/{name}', '/crons/n'],
  ['GET /stats', '/stats'],
  ['GET /metrics', '/metrics'],
  ['GET /health', '/health'],
  ['GET /settings', '/settings'],
  ['GET /cluster/nodes', '/cluster/nodes'],
]

/** Each ends the server that it is asked of. */
const ENDS = ['POST /server/restart', 'POST /server/shutdown']

describe('the OpenAPI document', () => {
  const server = new SharedServer({ HTTP: '1', HTTP_PORT: '0' })
  let document: Document

  beforeAll(async () => {
    const url = `http://127.0.0.1:${server.process.httpPort}/openapi.json`
    document = (await (await fetch(url)).json()) as Document
  })

  const resolve = (ref: string): Schema => {
    const found = document.components.schemas[ref.replace('#/components/schemas/', '')]
    if (found === undefined) throw new Error(`${ref} means nothing`)
    return found
  }
  const operationOf = (name: string): Operation => {
    const [method = '', path = ''] = name.split(' ')
    const found = document.paths[path]?.[method.toLowerCase()]
    if (found === undefined) throw new Error(`${name} is not in the document`)
    return found
  }

  const expectTrue = (name: string, { status, json, text }: HttpAnswer): void => {
    const { responses } = operationOf(name)
    const schema = (responses[status] ?? responses['default'])?.content?.['application/json']
      ?.schema
    if (schema === undefined) throw new Error(`${name}: no schema`)
    expect(schemaErrors(schema, json, resolve), `${name} ${text}`).toEqual([])
  }

  it('is of version 3.1, and every operation in it is whole', () => {
    expect(document.openapi).toBe('3.1.0')
    expect(document.info).toMatchObject({ title: 'FlashQ', version: expect.any(String) })
    const tags = document.tags.map(({ name }) => name)
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const shown = `${method} ${path}`
        expect(operation.summary, shown).toEqual(expect.any(String))
        const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
        const declared = (operation.parameters ?? []).filter((each) => each.in === 'path')
        expect(declared.map(({ name }) => name).sort(), shown).toEqual(inPath.sort())
      }
    }
    for (const name of [...ROUTES.map(([each]) => each), ...ENDS]) {
      const operation = operationOf(name)
      expect(tags, name).toEqual(expect.arrayContaining(operation.tags))
      expect(Object.keys(operation.responses), name).toEqual(['200', 'default'])
    }
  })

  it('has no reference to what is not there, and every example fits its schema', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)]
    expect(refs.length).toBeGreaterThan(50)
    for (const [, ref = ''] of refs) expect(resolve(ref)).toBeTypeOf('object')
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      for (const example of (schema['examples'] ?? []) as unknown[]) {
        expect(schemaErrors(schema, example, resolve), name).toEqual([])
      }
    }
  })

  it('has an example of each body that a client sends or gets a job in', () => {
    for (const name of [
      'Error',
      'NewJob',
      'Job',
      'PulledJob',
      'JobWithState',
      'Batch',
      'Counted',
    ]) {
      expect(resolve(name)['examples'], name).toHaveLength(1)
    }
  })

  it('is true of the answer to each of them', async () => {
    const http = new HttpClient(server.process.httpPort)
    const idOf = (answer: HttpAnswer): number => (answer.json.data as { id: number }).id
    const push = async (more: object = {}) =>
      idOf(await http.post('/queues/Q/jobs', { data: { a: [1] }, tags: ['t'], ...more }))
    const failed = await push({ max_attempts: 1 })
    await http.get('/queues/Q/jobs')
    await http.post(`/jobs/${failed}/fail`, { error: 'x' })
    const pulled = await push()
    await http.get('/queues/Q/jobs')
    const delayed = await push({ delay: 60_000 })
    const ids: Record<string, number> = { J: delayed, P: pulled, D: failed }
    const statuses = new Set<number>()
    for (const [name, path, body] of ROUTES) {
      const [method = ''] = name.split(' ')
      const real = path.replace(/\/([JPD])\b/g, (_, job: string) => `/${ids[job]}`)
      const ask: HttpAsk = body === undefined ? {} : { body }
      const answer = await http.ask(method, real, ask)
      statuses.add(answer.status)
      expectTrue(name, answer)
    }
    expect([...statuses].sort()).toEqual([200, 404, 409])
  })

  it.each(ENDS)('is true of the answer to %s', async (name) => {
    const ending = await startServer({ HTTP: '1', HTTP_PORT: '0' })
    const answer = await new HttpClient(ending.httpPort).post(name.replace('POST ', ''))
    expect(answer.status).toBe(200)
    expectTrue(name, answer)
    expect((await ending.exited).code).toBe(name.endsWith('restart') ? 100 : 0)
  })
})
