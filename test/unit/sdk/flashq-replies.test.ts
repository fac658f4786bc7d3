import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FlashQ } from '../../../sdk/typescript/src/index.ts'
import { FakeServer, type Frame, job, refusal } from './fake-server.ts'

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

describe('replies', () => {
  it('keep multi-byte characters whole wherever a packet ends', async () => {
    const data = 'é€😀队列'
    server.script = (frame) => (frame.cmd === 'GETJOB' ? null : undefined)
    const pending = client.getJob(7)
    const [frame] = (await server.received('GETJOB')) as [Frame]
    const body = { ok: true, reqId: frame.reqId, job: job(7, { data }), state: 'active' }
    for (const byte of Buffer.from(`${JSON.stringify(body)}\n`)) {
      frame.from.socket.write(Buffer.from([byte]))
    }
    expect((await pending)?.job.data).toBe(data)
  })

  it('may come in any order', async () => {
    server.script = () => null
    const states = [client.getState(1), client.getState(2), client.getState(3)]
    const frames = await server.received('GETSTATE', 3)
    for (const frame of frames.toReversed()) {
      frame.from.reply(frame, { state: `state-${frame['id']}` })
    }
    expect(await Promise.all(states)).toEqual(['state-1', 'state-2', 'state-3'])
  })

  it('of a waiting pull hold up nothing', async () => {
    const pulled = client.pull('q')
    const [frame] = (await server.received('PULL')) as [Frame]
    await client.pause('q')
    frame.from.reply(frame, { job: job(5) })
    expect((await pulled).id).toBe(5)
  })

  it.each([
    ['is no JSON', 'nonsense\n'],
    ['is no object', '[1]\n'],
    ['has no "ok"', '{"reqId":1}\n'],
    ['answers no request', '{"ok":true,"reqId":999}\n'],
    ['has no reqId', '{"ok":true}\n'],
  ])('end the connection when one %s', async (_, line) => {
    const faults: Error[] = []
    client.on('error', (fault) => faults.push(fault))
    server.script = (frame) => (frame.cmd === 'STATS' ? undefined : null)
    const write = client.pause('q')
    const read = client.getState(1)
    const pull = client.pull('q')
    await server.received('PULL')
    server.connections[0]?.socket.write(line)
    await expect(write).rejects.toMatchObject({ code: 'connection_lost', maybeExecuted: true })
    await expect(read).rejects.toMatchObject({ code: 'connection_lost', maybeExecuted: false })
    await expect(pull).rejects.toMatchObject({ code: 'connection_lost', maybeExecuted: true })
    await client.stats()
    expect(server.connections).toHaveLength(2)
    expect(faults).toHaveLength(1)
  })

  it('tell which frame was too large, as its complaint carries no reqId', async () => {
    server.script = () => null
    const small = client.pause('q')
    const large = client.push('q', 'x'.repeat(100))
    const text = 'Frame too large (max 99 bytes)'
    for (const call of [small, large]) call.catch(() => {})
    await server.received('PUSH')
    server.connections[0]?.line(refusal('frame_too_large', text))
    await expect(large).rejects.toMatchObject({
      code: 'frame_too_large',
      message: text,
      maybeExecuted: false,
    })
    await expect(small).rejects.toMatchObject({
      code: 'connection_lost',
      message: `Connection lost: ${text}`,
      maybeExecuted: true,
    })
  })

  it('reject with the text and code of the server', async () => {
    server.script = () => refusal('cron_not_found', 'Cron job not found')
    const error = await client.deleteCron('x').catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      name: 'FlashQError',
      message: 'Cron job not found',
      code: 'cron_not_found',
      retryable: false,
      maybeExecuted: false,
    })
  })

  it('that lack what was asked for reject the call and nothing else', async () => {
    server.script = (frame) => (frame.cmd === 'GETPROGRESS' ? {} : undefined)
    await expect(client.getProgress(1)).rejects.toMatchObject({ code: 'protocol' })
    await client.stats()
    expect(server.connections).toHaveLength(1)
  })
})

describe('readings', () => {
  it('unwrap the progress', async () => {
    server.script = () => ({ progress: { id: 1, progress: 40, message: 'half' } })
    expect(await client.getProgress(1)).toEqual({ progress: 40, message: 'half' })
  })

  it('give the body of a completed job', async () => {
    server.script = () => ({ job: job(3), state: 'completed' })
    expect(await client.getJob(3)).toMatchObject({ job: { id: 3 }, state: 'completed' })
  })

  it('give null for a job that is not known', async () => {
    server.script = () => ({ job: null, state: 'unknown' })
    expect(await client.getJob(3)).toBeNull()
  })

  it.each([
    [33.5, 34],
    [-1, 0],
    [150, 100],
    [Number.NaN, 0],
  ])('send progress %s as %s', async (given, sent) => {
    await client.progress(1, given)
    expect(server.of('PROGRESS')[0]).toMatchObject({ progress: sent })
  })

  it('keep a call with nonsense from breaking the frame', async () => {
    await client.push('q', undefined, { delay: Number.NaN, priority: 'x' as unknown as number })
    expect(server.of('PUSH')[0]).toMatchObject({ data: null, delay: null, priority: 'x' })
  })

  it('refuse data that is no JSON', async () => {
    await expect(client.push('q', 1n)).rejects.toThrow(TypeError)
    await expect(client.pushBatch('q', [{ data: 1n }])).rejects.toThrow(TypeError)
  })
})
