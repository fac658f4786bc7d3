// Every method over HTTP: what it asks, and what it makes of the answer.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FlashQ } from '../../../sdk/typescript/src/http.ts'
import { data, FakeFetch, type FetchCall } from './fake-fetch.ts'
import { job } from './fake-server.ts'

let web: FakeFetch
let client: FlashQ

beforeEach(() => {
  web = new FakeFetch().install()
  client = new FlashQ({ httpUrl: 'http://flashq.test:1/base/', reconnectDelay: 0 })
})

afterEach(async () => {
  await client.close({ timeoutMs: 0 })
  vi.unstubAllGlobals()
})

const COUNTED = { count: 1 }

describe('over HTTP', () => {
  const cases: [
    name: string,
    act: () => Promise<unknown>,
    asked: string,
    answer: unknown,
    gives: unknown,
  ][] = [
    [
      'ack',
      () => client.ack(7, { a: 1 }, { token: 3 }),
      'POST /jobs/7/ack {"result":{"a":1},"token":3}',
      null,
      undefined,
    ],
    [
      'ackBatch',
      () => client.ackBatch([7, 8], { tokens: [1, null] }),
      'POST /jobs/ack {"ids":[7,8],"tokens":[1,null]}',
      { count: 2 },
      2,
    ],
    ['fail', () => client.fail(7, 'no'), 'POST /jobs/7/fail {"error":"no"}', null, undefined],
    [
      'heartbeat',
      () => client.heartbeat(7, { lease: 5 }),
      'POST /jobs/heartbeat {"ids":[7],"lease":5}',
      COUNTED,
      undefined,
    ],
    [
      'heartbeat of several',
      () => client.heartbeat([7, 8]),
      'POST /jobs/heartbeat {"ids":[7,8]}',
      { count: 1, errors: [{ index: 1, error: 'x', code: 'stale_token' }] },
      { count: 1, errors: [{ index: 1, error: 'x', code: 'stale_token' }] },
    ],
    [
      'release',
      () => client.release(7, 2),
      'POST /jobs/release {"ids":[7],"tokens":[2]}',
      COUNTED,
      undefined,
    ],
    [
      'getJob',
      () => client.getJob(7),
      'GET /jobs/7',
      { ...job(7), state: 'active', result: null },
      { job: job(7), state: 'active' },
    ],
    [
      'getJob of a job that is gone',
      () => client.getJob(7),
      'GET /jobs/7',
      { state: 'completed', result: 1 },
      null,
    ],
    [
      'getJobInFull',
      () => client.getJobInFull(7),
      'GET /jobs/7?full=true',
      { ...job(7), state: 'failed', result: null, error: 'no', finished_at: 5 },
      { job: job(7), state: 'failed', result: null, error: 'no', finished_at: 5 },
    ],
    [
      'getState',
      () => client.getState(7),
      'GET /jobs/7/state',
      { id: 7, state: 'delayed' },
      'delayed',
    ],
    ['getResult', () => client.getResult(7), 'GET /jobs/7/result', [1], [1]],
    ['cancel', () => client.cancel(7), 'POST /jobs/7/cancel {}', null, undefined],
    ['promote', () => client.promote(7), 'POST /jobs/7/promote {}', null, undefined],
    ['log', () => client.log(7, 'hello'), 'POST /jobs/7/logs {"line":"hello"}', null, undefined],
    [
      'addWebhook',
      () => client.addWebhook({ url: 'https://x', events: ['*'] }),
      'POST /webhooks {"url":"https://x","events":["*"]}',
      'wh_1',
      'wh_1',
    ],
    [
      'changeWebhook',
      () => client.changeWebhook('wh_1', { enabled: false }),
      'PATCH /webhooks/wh_1 {"enabled":false}',
      'wh_1',
      'wh_1',
    ],
    ['deleteWebhook', () => client.deleteWebhook('wh_1'), 'DELETE /webhooks/wh_1', true, true],
    [
      'listWebhooks',
      () => client.listWebhooks(),
      'GET /webhooks',
      [{ id: 'wh_1' }],
      [{ id: 'wh_1' }],
    ],
    [
      'webhookAttempts',
      () => client.webhookAttempts('wh_1'),
      'GET /webhooks/wh_1/deliveries',
      [{ ok: true }],
      [{ ok: true }],
    ],
    ['drain', () => client.drain('q'), 'POST /queues/q/drain {}', 3, 3],
    [
      'deleteQueue',
      () => client.deleteQueue('q', { force: true }),
      'DELETE /queues/q?force=true',
      3,
      3,
    ],
    [
      'listJobs',
      () => client.listJobs({ state: 'failed', text: 'a b', limit: 2 }),
      'GET /jobs?state=failed&text=a+b&limit=2',
      { jobs: [job(7)], cursor: 'c' },
      { jobs: [job(7)], cursor: 'c' },
    ],
    [
      'progress',
      () => client.progress(7, 50, 'half'),
      'POST /jobs/7/progress {"progress":50,"message":"half"}',
      null,
      undefined,
    ],
    [
      'getProgress',
      () => client.getProgress(7),
      'GET /jobs/7/progress',
      [50, 'half'],
      { progress: 50, message: 'half' },
    ],
    ['getDlq', () => client.getDlq('q', 3), 'GET /queues/q/dlq?count=3', [job(7)], [job(7)]],
    ['retryDlq', () => client.retryDlq('q'), 'POST /queues/q/dlq/retry {}', 4, 4],
    ['retryDlq of one', () => client.retryDlq('q', 9), 'POST /queues/q/dlq/9/retry', 1, 1],
    ['purgeDlq', () => client.purgeDlq('q'), 'DELETE /queues/q/dlq', 4, 4],
    ['purgeDlq of one', () => client.purgeDlq('q', 9), 'DELETE /queues/q/dlq/9', 1, 1],
    ['pause', () => client.pause('q'), 'POST /queues/q/pause {}', null, undefined],
    ['resume', () => client.resume('q'), 'POST /queues/q/resume {}', null, undefined],
    [
      'setRateLimit',
      () => client.setRateLimit('q', 5),
      'POST /queues/q/rate-limit {"limit":5}',
      null,
      undefined,
    ],
    [
      'clearRateLimit',
      () => client.clearRateLimit('q'),
      'DELETE /queues/q/rate-limit',
      null,
      undefined,
    ],
    [
      'setConcurrency',
      () => client.setConcurrency('q', 5),
      'POST /queues/q/concurrency {"limit":5}',
      null,
      undefined,
    ],
    [
      'clearConcurrency',
      () => client.clearConcurrency('q'),
      'DELETE /queues/q/concurrency',
      null,
      undefined,
    ],
    ['listQueues', () => client.listQueues(), 'GET /queues', [{ name: 'q' }], [{ name: 'q' }]],
    [
      'addCron',
      () => client.addCron('c/1', { queue: 'q', data: 1, schedule: '*/5' }),
      'POST /crons/c%2F1 {"queue":"q","data":1,"schedule":"*/5"}',
      null,
      undefined,
    ],
    ['deleteCron', () => client.deleteCron('c'), 'DELETE /crons/c', true, true],
    ['listCrons', () => client.listCrons(), 'GET /crons', [{ name: 'c' }], [{ name: 'c' }]],
    ['listWebhooks, of none', () => client.listWebhooks(), 'GET /webhooks', [], []],
    [
      'webhookAttempts, of none',
      () => client.webhookAttempts('wh_1'),
      'GET /webhooks/wh_1/deliveries',
      [],
      [],
    ],
    [
      'pingWebhook',
      () => client.pingWebhook('wh_1'),
      'POST /webhooks/wh_1/test {}',
      'msg_1',
      'msg_1',
    ],
    [
      'hello',
      () => client.hello('w/1', { queues: ['q'], concurrency: 3 }),
      'POST /workers/w%2F1/heartbeat {"queues":["q"],"concurrency":3}',
      null,
      undefined,
    ],
    ['metrics', () => client.metrics(), 'GET /metrics', { queues: [] }, { queues: [] }],
    ['listWorkers', () => client.listWorkers(), 'GET /workers', [{ id: 'w' }], [{ id: 'w' }]],
    [
      'listNodes',
      () => client.listNodes(),
      'GET /cluster/nodes',
      [{ node_id: 'n' }],
      [{ node_id: 'n' }],
    ],
    ['health', () => client.health(), 'GET /health', { status: 'healthy' }, { status: 'healthy' }],
    [
      'pushBatch',
      () => client.pushBatch('q', [{ data: 1 }]),
      'POST /queues/q/jobs/batch {"jobs":[{"data":1}]}',
      { ids: [5] },
      [5],
    ],
    [
      'pullBatch',
      () => client.pullBatch('q', 2, { wait: 10, lease: 9, token: true, releaseOnClose: true }),
      'POST /queues/q/pull {"count":2,"lease":9,"token":true,"timeout":10}',
      [job(7)],
      [job(7)],
    ],
    [
      'pull',
      () => client.pull('q', { wait: 10 }),
      'POST /queues/q/pull {"count":1,"timeout":10}',
      [job(7)],
      job(7),
    ],
    [
      'pull without a job',
      () => client.pull('q', { wait: 10 }),
      'POST /queues/q/pull {"count":1,"timeout":10}',
      [],
      null,
    ],
  ]
  for (const [name, act, asked, answer, gives] of cases) {
    it(`${name} asks ${asked.split(' {')[0]}`, async () => {
      web.script = (call) => (call.path === '/base/stats' ? undefined : data(answer))
      await expect(act()).resolves.toEqual(gives)
      const call = web.calls.at(-1) as FetchCall
      const body = call.body === null ? '' : ` ${call.body}`
      expect(`${call.method} ${call.path.replace('/base', '')}${body}`).toBe(asked)
    })
  }
})
