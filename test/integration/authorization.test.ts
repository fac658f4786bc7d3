// Every command, with every scope, about what is one's own, another's, or not there. The tables here are the truth: a
// new command without its rows does not compile, and one that lets anything through fails.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Op, type OpName, routeOf } from '../../src/engine/op.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { SharedServer } from '../support/shared-server.ts'
import { type Answer, idOf, type WireClient } from '../support/wire-client.ts'

const scopes = ['read', 'produce', 'consume', 'admin'] as const
type Scope = (typeof scopes)[number]
const FORBIDDEN = { ok: false, error: 'This token may not do that', code: 'forbidden' }
const NEVER_GIVEN = 32 * 1_000_000

/** What a command is tried on. */
interface Subject {
  readonly queue: string
  readonly id: number
  readonly cron: string
  readonly webhook: string
}

interface Row {
  /** Null: whoever has connected. */
  readonly scope: Scope | null
  frame(subject: Subject): object
  /** The state that the job is in before; default: it waits. */
  readonly job?: 'active' | 'completed' | 'delayed'
  /** With it, a principal of some queues is refused: it would see figures of all of them. */
  readonly isOfServer?: true
}

const ofQueue =
  (cmd: string, fields: object = {}) =>
  ({ queue }: Subject): object => ({ cmd, queue, ...fields })
const ofJob =
  (cmd: string, fields: object = {}) =>
  ({ id }: Subject): object => ({ cmd, id, ...fields })
const ofJobs =
  (cmd: string) =>
  ({ id }: Subject): object => ({ cmd, ids: [id] })
const ofWebhook =
  (cmd: string, fields: object = {}) =>
  ({ webhook }: Subject): object => ({ cmd, id: webhook, ...fields })

const table: Readonly<Record<OpName, Row>> = {
  PUSH: { scope: 'produce', frame: ofQueue('PUSH', { data: 1 }) },
  PUSHB: { scope: 'produce', frame: ofQueue('PUSHB', { jobs: [{ data: 1 }] }) },
  PULL: { scope: 'consume', frame: ofQueue('PULL', { wait: 0 }) },
  PULLB: { scope: 'consume', frame: ofQueue('PULLB', { count: 1, wait: 0 }) },
  ACK: { scope: 'consume', frame: ofJob('ACK'), job: 'active' },
  ACKB: { scope: 'consume', frame: ofJobs('ACKB'), job: 'active' },
  FAIL: { scope: 'consume', frame: ofJob('FAIL', { error: 'x' }), job: 'active' },
  GETRESULT: { scope: 'read', frame: ofJob('GETRESULT'), job: 'completed' },
  GETJOB: { scope: 'read', frame: ofJob('GETJOB') },
  GETSTATE: { scope: 'read', frame: ofJob('GETSTATE') },
  CANCEL: { scope: 'produce', frame: ofJob('CANCEL') },
  PROGRESS: { scope: 'consume', frame: ofJob('PROGRESS', { progress: 5 }), job: 'active' },
  GETPROGRESS: { scope: 'read', frame: ofJob('GETPROGRESS'), job: 'active' },
  DLQ: { scope: 'read', frame: ofQueue('DLQ') },
  RETRYDLQ: { scope: 'admin', frame: ofQueue('RETRYDLQ') },
  PURGEDLQ: { scope: 'admin', frame: ofQueue('PURGEDLQ') },
  DRAIN: { scope: 'admin', frame: ofQueue('DRAIN') },
  PROMOTE: { scope: 'produce', frame: ofJob('PROMOTE'), job: 'delayed' },
  DELETEQUEUE: { scope: 'admin', frame: ofQueue('DELETEQUEUE') },
  LISTJOBS: { scope: 'read', frame: () => ({ cmd: 'LISTJOBS' }) },
  LOG: { scope: 'consume', frame: ofJob('LOG', { line: 'x' }), job: 'active' },
  GETLOGS: { scope: 'read', frame: ofJob('GETLOGS'), job: 'active' },
  HELLO: { scope: 'consume', frame: () => ({ cmd: 'HELLO', name: 'me' }) },
  SUBSCRIBE: { scope: 'read', frame: ofQueue('SUBSCRIBE', { events: [] }) },
  UNSUBSCRIBE: { scope: 'read', frame: ofQueue('UNSUBSCRIBE') },
  METRICS: { scope: 'read', frame: () => ({ cmd: 'METRICS' }), isOfServer: true },
  STATS: { scope: 'read', frame: () => ({ cmd: 'STATS' }), isOfServer: true },
  CRON: {
    scope: 'admin',
    frame: ({ queue, cron }) => ({
      cmd: 'CRON',
      name: cron,
      queue,
      schedule: '0 0 1 1 *',
      data: 2,
    }),
  },
  CRONDELETE: { scope: 'admin', frame: ({ cron }) => ({ cmd: 'CRONDELETE', name: cron }) },
  CRONLIST: { scope: 'read', frame: () => ({ cmd: 'CRONLIST' }) },
  RATELIMIT: { scope: 'admin', frame: ofQueue('RATELIMIT', { limit: 1000 }) },
  RATELIMITCLEAR: { scope: 'admin', frame: ofQueue('RATELIMITCLEAR') },
  PAUSE: { scope: 'admin', frame: ofQueue('PAUSE') },
  RESUME: { scope: 'admin', frame: ofQueue('RESUME') },
  SETCONCURRENCY: { scope: 'admin', frame: ofQueue('SETCONCURRENCY', { limit: 1000 }) },
  CLEARCONCURRENCY: { scope: 'admin', frame: ofQueue('CLEARCONCURRENCY') },
  LISTQUEUES: { scope: 'read', frame: () => ({ cmd: 'LISTQUEUES' }) },
  AUTH: { scope: null, frame: () => ({ cmd: 'AUTH', token: 'full' }) },
  HEARTBEAT: { scope: 'consume', frame: ofJobs('HEARTBEAT'), job: 'active' },
  RELEASE: { scope: 'consume', frame: ofJob('RELEASE'), job: 'active' },
  WEBHOOK: { scope: 'admin', frame: ofWebhook('WEBHOOK', { enabled: false }), isOfServer: true },
  WEBHOOKDELETE: { scope: 'admin', frame: ofWebhook('WEBHOOKDELETE'), isOfServer: true },
  WEBHOOKLIST: { scope: 'admin', frame: () => ({ cmd: 'WEBHOOKLIST' }), isOfServer: true },
  WEBHOOKPING: { scope: 'admin', frame: ofWebhook('WEBHOOKPING'), isOfServer: true },
  WEBHOOKLOG: { scope: 'admin', frame: ofWebhook('WEBHOOKLOG'), isOfServer: true },
}

const folder = scratchFolder()
const authFile = join(folder, 'tokens.json')
writeFileSync(
  authFile,
  JSON.stringify({
    tokens: scopes.flatMap((scope) => [
      { name: `some ${scope}`, token: `some-${scope}`, scopes: [scope], queues: ['own', 'own.*'] },
      { name: `all ${scope}`, token: `all-${scope}`, scopes: [scope] },
    ]),
  }),
  { mode: 0o600 },
)
const server = new SharedServer({ AUTH_TOKENS: 'full', AUTH_FILE: authFile })

async function clientWith(token: string): Promise<WireClient> {
  const client = await server.client()
  await client.ok({ cmd: 'AUTH', token })
  return client
}

let lastNo = 0

/** A subject of a queue that begins with `owner`, with its job, cron and webhook. */
async function subjectOf(
  full: WireClient,
  owner: string,
  { job, isOfServer }: Row,
): Promise<Subject> {
  const no = ++lastNo
  const queue = `${owner}.${no}`
  const delay = job === 'delayed' ? { delay: 60_000 } : {}
  const id = await full.push(queue, `secret of ${owner}`, delay)
  if (job === 'active' || job === 'completed') expect((await full.pull(queue)).id).toBe(id)
  if (job === 'completed') await full.ok({ cmd: 'ACK', id, result: `secret of ${owner}` })
  const cron = `${owner}-${no}`
  await full.ok({ cmd: 'CRON', name: cron, queue, schedule: '0 0 1 1 *', data: 1 })
  const webhook = isOfServer ? await webhookOf(full, queue) : ''
  return { queue, id, cron, webhook }
}

/** Nobody is told: nothing ever happens in that queue. */
async function webhookOf(full: WireClient, queue: string): Promise<string> {
  const terms = { url: 'https://example.com/', events: ['completed'], queue: `${queue}.quiet` }
  const { id } = (await full.ok({ cmd: 'WEBHOOK', ...terms })) as unknown as { id: string }
  return id
}

function absent(): Subject {
  const no = ++lastNo
  return {
    queue: `own.absent.${no}`,
    id: NEVER_GIVEN + no,
    cron: `absent-${no}`,
    webhook: `wh_${10_000 + no}`,
  }
}

/** Everything that can be seen of a subject. */
async function seen(full: WireClient, { queue, id, cron }: Subject): Promise<unknown> {
  const { queues } = await full.ok({ cmd: 'LISTQUEUES' })
  const { crons } = await full.ok({ cmd: 'CRONLIST' })
  return [
    await full.ok({ cmd: 'GETJOB', id }),
    queues?.filter(({ name }) => name === queue),
    crons?.filter(({ name }) => name === cron),
  ]
}

/** The answer with the subject's names taken out, so that two can be compared. */
function without({ queue, id, cron }: Subject, answer: Answer): string {
  return JSON.stringify(answer)
    .replaceAll(String(id), 'ID')
    .replaceAll(queue, 'QUEUE')
    .replaceAll(cron, 'CRON')
}

describe('the table of commands', () => {
  it('has a row for every command that there is', () => {
    expect(Object.keys(table).sort()).toEqual(Object.keys(Op).sort())
  })
})

describe.each(Object.entries(table) as [OpName, Row][])('%s', (op, row) => {
  const others = scopes.filter((scope) => scope !== row.scope && row.scope !== null)

  it.each(others)('is not for a token with the scope %s alone', async (scope) => {
    const full = await clientWith('full')
    const subject = await subjectOf(full, 'own', row)
    const before = await seen(full, subject)
    for (const token of [`some-${scope}`, `all-${scope}`]) {
      const client = await clientWith(token)
      expect(await client.ask(row.frame(subject) as never), token).toEqual(FORBIDDEN)
    }
    expect(await seen(full, subject)).toEqual(before)
  })

  const scope = row.scope ?? 'read'

  it('is for a token of its scope and every queue', async () => {
    const full = await clientWith('full')
    const client = await clientWith(`all-${scope}`)
    for (const owner of ['own', 'other']) {
      const subject = await subjectOf(full, owner, row)
      const answer = await client.ask(row.frame(subject) as never)
      expect(answer, owner).toMatchObject({ ok: true })
      expect(answer.errors, owner).toBeUndefined()
    }
  })

  if (row.isOfServer) {
    it('shows figures of all queues, so a token of some queues may not', async () => {
      const client = await clientWith(`some-${scope}`)
      expect(await client.ask(row.frame(absent()) as never)).toEqual(FORBIDDEN)
    })
    return
  }

  it('is for a token of its scope and some queues, about these', async () => {
    const full = await clientWith('full')
    const client = await clientWith(`some-${scope}`)
    const subject = await subjectOf(full, 'own', row)
    const answer = await client.ask(row.frame(subject) as never)
    expect(answer).toMatchObject({ ok: true })
    expect(answer.errors).toBeUndefined()
  })

  it('tells and changes nothing of what is of other queues', async () => {
    const full = await clientWith('full')
    const client = await clientWith(`some-${scope}`)
    const subject = await subjectOf(full, 'other', row)
    const before = await seen(full, subject)
    const answer = await client.ask(row.frame(subject) as never)
    const isOfQueue = routeOf[op] === 'queue' || op === 'SUBSCRIBE' || op === 'UNSUBSCRIBE'
    if (isOfQueue || op === 'CRON') {
      expect(answer).toEqual(FORBIDDEN)
    } else if (op !== 'AUTH') {
      const nothing = absent()
      const ofNothing = await (await clientWith(`some-${scope}`)).ask(row.frame(nothing) as never)
      expect(without(subject, answer)).toBe(without(nothing, ofNothing))
      // And that is what anybody hears of what does not exist.
      const toAll = await full.ask(row.frame(nothing) as never)
      if (routeOf[op] !== 'every') expect(toAll).toEqual(ofNothing)
    }
    expect(JSON.stringify(answer)).not.toContain('secret of other')
    if (op !== 'AUTH') expect(await seen(full, subject)).toEqual(before)
  })
})

describe('a token of some queues', () => {
  const own = { queue: 'own', data: 1 }

  it('has commands run in the order in which it sends them, looked up or not', async () => {
    const client = await clientWith('full')
    await client.ok({ cmd: 'PUSH', ...own })
    const { id } = await client.pull('own')
    const consumer = await clientWith('some-consume')
    consumer.send(
      { cmd: 'PROGRESS', id, progress: 1 },
      { cmd: 'PROGRESS', id, progress: 2 },
      { cmd: 'ACKB', ids: [id, NEVER_GIVEN] },
      { cmd: 'ACK', id },
      { cmd: 'PULL', queue: 'own', wait: 0 },
      { cmd: 'PULL', queue: 'other', wait: 0 },
      '{"cmd":"ACK"}\n',
    )
    expect(await consumer.answers(7)).toEqual([
      { ok: true },
      { ok: true },
      { ok: true, ids: [1], errors: [{ index: 1, ...notFound(NEVER_GIVEN) }] },
      { ok: false, ...notFound(id) },
      { ok: true, job: null },
      FORBIDDEN,
      { ok: false, error: 'Invalid: missing field "id"', code: 'invalid' },
    ])
  })

  it('has a list of ids run without those of others, tokens and results in their places', async () => {
    const full = await clientWith('full')
    const ids: number[] = []
    for (const queue of ['other', 'own.a', 'other', 'own.b', 'own.a']) {
      ids.push(await full.push(queue, 1))
    }
    const jobs = new Map<number, number>()
    for (const queue of ['own.a', 'own.b', 'own.a', 'other', 'other']) {
      const job = await full.pull(queue, { token: true })
      jobs.set(job.id, job.token as number)
    }
    const tokens = ids.map((id, index) => (index === 4 ? null : (jobs.get(id) as number)))
    const results = ['no', { a: 1 }, 'no', null, '10.0']
    const consumer = await clientWith('some-consume')
    const [x, a, y, b, c] = ids as [number, number, number, number, number]
    expect(await consumer.ask({ cmd: 'HEARTBEAT', ids, tokens, lease: 60_000 })).toEqual({
      ok: true,
      ids: [3],
      errors: [notActive(x), notActive(y)].map((error, i) => ({ index: 2 * i, ...error })),
    })
    expect(await consumer.ask({ cmd: 'ACKB', reqId: 9, ids, tokens, results })).toEqual({
      ok: true,
      reqId: 9,
      ids: [3],
      errors: [notFound(x), notFound(y)].map((error, i) => ({ index: 2 * i, ...error })),
    })
    const shown = [a, b, c].map((id) => full.ok({ cmd: 'GETRESULT', id }))
    // One after the other: the answers come in that order.
    expect((await Promise.all(shown)).map(({ result }) => result)).toEqual([{ a: 1 }, null, '10.0'])
    for (const id of [x, y]) expect(await full.stateOf(id)).toBe('active')
    expect(await consumer.ask({ cmd: 'RELEASE', ids: [x, y] })).toEqual({
      ok: true,
      ids: [0],
      errors: [notActive(x), notActive(y)].map((error, index) => ({ index, ...error })),
    })
  })

  it('sees the queues and crons that are its own, byte for byte', async () => {
    const full = await clientWith('full')
    const data = '{"queue":"other","n":[1e400,{"a":"]"}]}'
    for (const [name, queue] of [
      ['list-a', 'own'],
      ['list-b', 'other'],
      ['list-c', 'own.list'],
    ]) {
      const fields = `"name":"${name}","queue":"${queue}","schedule":"0 0 1 1 *","data":${data}`
      await full.ok(`{"cmd":"CRON",${fields}}\n`)
    }
    const reader = await clientWith('some-read')
    reader.send('{"reqId":"],[","cmd":"CRONLIST"}\n')
    const line = await reader.line()
    expect(line).toMatch(/^\{"ok":true,"reqId":"\],\[","crons":\[\{"name":"/)
    expect(line.split(data)).toHaveLength(3)
    const { crons } = JSON.parse(line) as Answer
    expect(crons?.map(({ queue }) => queue)).not.toContain('other')
    const { queues = [] } = await reader.ok({ cmd: 'LISTQUEUES' })
    expect(queues.length).toBeGreaterThan(0)
    for (const { name } of queues) expect(name).toMatch(/^own(\.|$)/)
  })

  it('can make a job wait for jobs of its own, and not learn of others', async () => {
    const full = await clientWith('full')
    const foreign = await full.push('other', 1)
    const own1 = await full.push('own.parent', 1)
    const own2 = await full.push('own', 1)
    const producer = await clientWith('some-produce')
    const child = idOf(await producer.ok({ cmd: 'PUSH', ...own, depends_on: [own1, own2] }))
    expect(await full.stateOf(child)).toBe('waiting-children')
    for (const id of [foreign, NEVER_GIVEN, NEVER_GIVEN + 1, NEVER_GIVEN + 2]) {
      const refused = {
        ok: false,
        error: `Dependency ${id} does not exist`,
        code: 'dependency_invalid',
      }
      expect(await producer.ask({ cmd: 'PUSH', ...own, depends_on: [own1, id] })).toEqual(refused)
      const jobs = [{ data: 1 }, { data: 2, depends_on: [id] }]
      expect(await producer.ask({ cmd: 'PUSHB', queue: 'own', jobs })).toEqual(refused)
    }
  })

  it('cannot take over the name of a cron of others', async () => {
    const full = await clientWith('full')
    const cron = { cmd: 'CRON', name: 'taken', schedule: '0 0 1 1 *', data: 1 }
    await full.ok({ ...cron, queue: 'other' })
    const admin = await clientWith('some-admin')
    expect(await admin.ask({ ...cron, queue: 'own' })).toEqual(FORBIDDEN)
    expect(await admin.ask({ cmd: 'CRONDELETE', name: 'taken' })).toMatchObject({
      code: 'cron_not_found',
    })
    await admin.ok({ ...cron, name: 'free', queue: 'own' })
    await admin.ok({ ...cron, name: 'free', queue: 'own.too' })
    await admin.ok({ cmd: 'CRONDELETE', name: 'free' })
  })

  it('may send frames of any shape', async () => {
    const producer = await clientWith('some-produce')
    for (const frame of [
      '{"data":1,"queue":"other","cmd":"PUSH"}\n',
      '{"cmd":"PUSH","queue":"\\u006fther","data":1}\n',
      '{"cmd":"\\u0050USH","queue":"other","data":1}\n',
      '{ "cmd" : "PUSH" , "queue" : "ownother" , "data" : 1 }\n',
    ]) {
      expect(await producer.ask(frame), frame).toEqual(FORBIDDEN)
    }
    expect(await producer.ask('{"data":1,"queue":"\\u006fwn.x","cmd":"PUSH"}\n')).toMatchObject({
      ok: true,
    })
  })
})

function notFound(id: number): object {
  return { error: `Job ${id} not found`, code: 'job_not_found' }
}

function notActive(id: number): object {
  return { error: `Job ${id} not found in processing`, code: 'job_not_active' }
}
