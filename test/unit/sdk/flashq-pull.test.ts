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

describe('pull', () => {
  it('sends nothing but the queue unless asked', async () => {
    server.script = () => ({ job: job(1) })
    await client.pull('q')
    const { from: _, reqId: __, ...sent } = server.frames[0] as Frame
    expect(sent).toEqual({ cmd: 'PULL', queue: 'q' })
  })

  it('sends its options', async () => {
    server.script = () => ({ jobs: [] })
    await client.pullBatch('q', 7, { wait: 5, lease: 100, token: true, releaseOnClose: true })
    expect(server.frames[0]).toMatchObject({
      cmd: 'PULLB',
      count: 7,
      wait: 5,
      lease: 100,
      token: true,
      release_on_close: true,
    })
  })

  it('gives null when its wait is over', async () => {
    server.script = () => ({ job: null })
    expect(await client.pull('q', { wait: 0 })).toBeNull()
  })
})

describe('an aborted pull', () => {
  it('rejects with the reason, and hands back the job that comes for it', async () => {
    const controller = new AbortController()
    const pulled = client.pull('q', { signal: controller.signal, lease: 500 })
    const [frame] = (await server.received('PULL')) as [Frame]
    expect(frame['wait']).toBeGreaterThan(0)
    expect(frame['token']).toBe(true)
    controller.abort(new Error('enough'))
    await expect(pulled).rejects.toThrow('enough')
    frame.from.reply(frame, { job: job(5, { token: 77 }) })
    const [release] = await server.received('RELEASE')
    expect(release).toMatchObject({ ids: [5], tokens: [77] })
  })

  it('hands back all the jobs of a batch', async () => {
    const controller = new AbortController()
    const pulled = client.pullBatch('q', 9, { signal: controller.signal, wait: 100 })
    const [frame] = (await server.received('PULLB')) as [Frame]
    controller.abort()
    await expect(pulled).rejects.toMatchObject({ name: 'AbortError' })
    frame.from.reply(frame, { jobs: [job(5, { token: 1 }), job(6, { token: 2 })] })
    const [release] = await server.received('RELEASE')
    expect(release).toMatchObject({ ids: [5, 6], tokens: [1, 2] })
  })

  it('is never sent when it was aborted before', async () => {
    const controller = new AbortController()
    const pulled = client.pull('q', { signal: controller.signal })
    controller.abort(new Error('at once'))
    await expect(pulled).rejects.toThrow('at once')
    await client.connect()
    const second = new AbortController()
    const connected = client.pull('q', { signal: second.signal })
    second.abort(new Error('in the same tick'))
    await expect(connected).rejects.toThrow('in the same tick')
    await expect(client.pull('q', { signal: controller.signal })).rejects.toThrow('at once')
    await client.stats()
    expect(server.of('PULL')).toHaveLength(0)
  })

  it('repeats the release that was lost', async () => {
    server.script = (frame) =>
      frame.cmd === 'RELEASE' && frame.from.index === 0 ? null : undefined
    const controller = new AbortController()
    const pulled = client.pull('q', { signal: controller.signal })
    const [frame] = (await server.received('PULL')) as [Frame]
    controller.abort()
    await expect(pulled).rejects.toThrow()
    frame.from.reply(frame, { job: job(5, { token: 77 }) })
    await server.received('RELEASE')
    frame.from.drop()
    const [, again] = (await server.received('RELEASE', 2)) as [Frame, Frame]
    expect(again).toMatchObject({ ids: [5], tokens: [77], from: { index: 1 } })
  })

  it('does not insist on a release that is refused', async () => {
    server.script = (frame) => (frame.cmd === 'RELEASE' ? refusal('invalid') : undefined)
    const controller = new AbortController()
    const pulled = client.pull('q', { signal: controller.signal })
    const [frame] = (await server.received('PULL')) as [Frame]
    controller.abort()
    await expect(pulled).rejects.toThrow()
    frame.from.reply(frame, { job: job(5, { token: 77 }) })
    await server.received('RELEASE')
    await client.stats()
    await client.stats()
    expect(server.of('RELEASE')).toHaveLength(1)
  })

  it('asks on while nothing comes and nobody aborts', async () => {
    server.script = (frame) =>
      frame.cmd === 'PULL' ? { job: server.of('PULL').length < 3 ? null : job(4) } : undefined
    const { signal } = new AbortController()
    expect((await client.pull('q', { signal })).id).toBe(4)
    expect(server.of('PULL')).toHaveLength(3)
  })
})

describe('a pull that waits when the client closes', () => {
  it('ends with code closed', async () => {
    const pulled = client.pull('q')
    pulled.catch(() => {})
    await server.received('PULL')
    await client.close()
    await expect(pulled).rejects.toMatchObject({ code: 'closed' })
  })

  it('hands back a job that still comes while others are answered', async () => {
    server.script = (frame) => (frame.cmd === 'PAUSE' ? null : undefined)
    const pulled = client.pull('q')
    pulled.catch(() => {})
    const paused = client.pause('q')
    const [pause] = (await server.received('PAUSE')) as [Frame]
    const [pull] = server.of('PULL') as [Frame]
    const closed = client.close()
    pull.from.reply(pull, { job: job(5) })
    await server.received('RELEASE')
    pause.from.reply(pause)
    await Promise.all([closed, paused])
    expect(server.of('RELEASE')[0]).toMatchObject({ ids: [5], from: { index: 0 } })
  })

  it('hands back over another connection a job that comes after the good-bye', async () => {
    const pulled = client.pull('q')
    pulled.catch(() => {})
    const [pull] = (await server.received('PULL')) as [Frame]
    // The client has said good-bye; the server's last words cross it.
    pull.from.socket.allowHalfOpen = true
    const closed = client.close()
    await new Promise((resolve) => pull.from.socket.once('end', resolve))
    pull.from.reply(pull, { job: job(5) })
    pull.from.socket.end()
    await closed
    expect(server.of('RELEASE')[0]).toMatchObject({ ids: [5], from: { index: 1 } })
  })
})
