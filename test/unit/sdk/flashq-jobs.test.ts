import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FlashQ } from '../../../sdk/typescript/src/index.ts'
import { FakeServer, job } from './fake-server.ts'

let server: FakeServer
let client: FlashQ

beforeEach(async () => {
  server = await new FakeServer().start()
  client = new FlashQ(server.options)
})

afterEach(async () => {
  await client.close()
  await server.stop()
})

/** What the client sent for its last command, without its envelope. */
function sent(cmd: string): object {
  const { from: _, reqId: __, ...frame } = server.of(cmd).at(-1) ?? { from: null, reqId: 0 }
  return frame
}

describe('a job in full', () => {
  it('has its result, its error and its end', async () => {
    const end = { result: { n: 1 }, error: 'before', finished_at: 17 }
    server.script = () => ({ job: job(3), state: 'completed', ...end })
    expect(await client.getJobInFull(3)).toEqual({ job: job(3), state: 'completed', ...end })
    expect(sent('GETJOB')).toEqual({ cmd: 'GETJOB', id: 3, full: true })
  })

  it('has nulls when there is no such job', async () => {
    const nothing = { job: null, state: 'unknown', result: null, error: null, finished_at: null }
    server.script = () => nothing
    expect(await client.getJobInFull(3)).toEqual(nothing)
  })

  it('is not taken from an answer without one', async () => {
    server.script = () => ({ job: 7, state: 'active' })
    await expect(client.getJobInFull(3)).rejects.toMatchObject({ code: 'protocol' })
  })
})

it('promote sends the id', async () => {
  await client.promote(7)
  expect(sent('PROMOTE')).toEqual({ cmd: 'PROMOTE', id: 7 })
})

describe('a page of jobs', () => {
  it('is asked for with what is given, and tells where the next one begins', async () => {
    server.script = () => ({ jobs: [job(3, { state: 'failed', error: 'e' })], cursor: 'c1' })
    const page = await client.listJobs({ queue: 'q', state: 'failed', tag: 't"', limit: 5 })
    expect(page).toEqual({ jobs: [job(3, { state: 'failed', error: 'e' })], cursor: 'c1' })
    const filter = { queue: 'q', state: 'failed', tag: 't"', limit: 5 }
    expect(sent('LISTJOBS')).toEqual({ cmd: 'LISTJOBS', ...filter })
    await client.listJobs({ since: 1, until: 2, text: 'x', offset: 0, cursor: page.cursor })
    const next = { since: 1, until: 2, text: 'x', offset: 0, cursor: 'c1' }
    expect(sent('LISTJOBS')).toEqual({ cmd: 'LISTJOBS', ...next })
  })

  it('may be the last one, and must be one', async () => {
    server.script = () => ({ jobs: [], cursor: null })
    expect(await client.listJobs()).toEqual({ jobs: [], cursor: null })
    server.script = () => ({ jobs: [7], cursor: null })
    await expect(client.listJobs()).rejects.toMatchObject({ code: 'protocol' })
  })
})

it('drain tells how many', async () => {
  server.script = () => ({ ids: [12] })
  expect(await client.drain('q')).toBe(12)
  expect(sent('DRAIN')).toEqual({ cmd: 'DRAIN', queue: 'q' })
})

it('deleteQueue tells how many, and forces only when told to', async () => {
  server.script = () => ({ ids: [3] })
  expect(await client.deleteQueue('q')).toBe(3)
  expect(sent('DELETEQUEUE')).toEqual({ cmd: 'DELETEQUEUE', queue: 'q' })
  await client.deleteQueue('q', { force: true })
  expect(sent('DELETEQUEUE')).toEqual({ cmd: 'DELETEQUEUE', queue: 'q', force: true })
})

describe('logs', () => {
  it('are sent line by line, with the token of the delivery if there is one', async () => {
    await client.log(3, 'a "line"', { token: 5 })
    expect(sent('LOG')).toEqual({ cmd: 'LOG', id: 3, line: 'a "line"', token: 5 })
    await client.log(3, '')
    expect(sent('LOG')).toEqual({ cmd: 'LOG', id: 3, line: '' })
  })

  it('are read with how many are missing', async () => {
    const logs = [{ at: 1, line: 'a' }]
    server.script = () => ({ id: 3, logs, dropped: 4 })
    expect(await client.getLogs(3)).toEqual({ logs, dropped: 4 })
    server.script = () => ({ id: 3 })
    await expect(client.getLogs(3)).rejects.toMatchObject({ code: 'protocol' })
  })
})
