import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FlashQ } from '../../../sdk/typescript/src/index.ts'
import { FakeServer, type Frame, refusal } from './fake-server.ts'

let server: FakeServer
let client: FlashQ

beforeEach(async () => {
  server = await new FakeServer().start()
  client = new FlashQ(server.options)
})

afterEach(async () => {
  vi.useRealTimers()
  await client.close({ timeoutMs: 0 })
  await server.stop()
})

const event = (name: 'connect' | 'disconnect' | 'reconnecting'): Promise<void> =>
  new Promise((resolve) => client.once(name, () => resolve()))

describe('connect', () => {
  it('is done by the first call when nobody has', async () => {
    expect(client.isConnected()).toBe(false)
    await client.stats()
    expect(client.isConnected()).toBe(true)
  })

  it('rejects with the reason when there is no server', async () => {
    await server.stop()
    const error = await client.connect().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'not_connected', retryable: true })
    expect((error as Error).message).toContain('ECONNREFUSED')
    await expect(client.stats()).rejects.toMatchObject({ code: 'not_connected' })
    await server.start()
    await client.connect()
  })

  it('keeps trying when told so', async () => {
    await server.stop()
    const patient = new FlashQ({ ...server.options, retryConnect: true })
    const connected = patient.connect()
    const pushed = patient.push('q', 1)
    await new Promise((resolve) => patient.once('reconnecting', resolve))
    await server.start()
    await connected
    expect((await pushed).id).toBe(1)
    await patient.close()
  })

  it('authenticates before anything else', async () => {
    const known = new FlashQ({ ...server.options, token: 'secret' })
    await Promise.all([known.connect(), known.stats()])
    expect(server.frames.map((frame) => frame.cmd)).toEqual(['AUTH', 'STATS'])
    expect(server.frames[0]).toMatchObject({ token: 'secret' })
    await known.close()
  })

  it('rejects with the refusal of a wrong token, and closes the socket', async () => {
    server.script = () => refusal('auth_invalid', 'Invalid token')
    const unknown = new FlashQ({ ...server.options, token: 'wrong' })
    const connection = server.connected()
    await expect(unknown.connect()).rejects.toMatchObject({
      code: 'auth_invalid',
      message: 'Invalid token',
    })
    const { socket } = await connection
    if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  })

  it('times out when the server says nothing', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    server.script = () => null
    const waiting = new FlashQ({ ...server.options, token: 't', timeout: 700 })
    const connected = waiting.connect()
    connected.catch(() => {})
    await server.received('AUTH')
    vi.advanceTimersByTime(700)
    await expect(connected).rejects.toThrow('Connection timeout')
  })
})

describe('a lost connection', () => {
  it('rejects what was written, and repeats what only reads', async () => {
    server.script = (frame) => (frame.from.index === 0 ? null : undefined)
    const push = client.push('q', 1)
    push.catch(() => {})
    const state = client.getState(1)
    const [frame] = (await server.received('GETSTATE')) as [Frame]
    frame.from.drop()
    await expect(push).rejects.toMatchObject({
      code: 'connection_lost',
      maybeExecuted: true,
      retryable: false,
    })
    expect(await state).toBe('waiting')
    expect(server.of('PUSH')).toHaveLength(1)
  })

  it('repeats a waiting pull with the time that is left', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const pulled = client.pull('q', { wait: 1000 })
    const [first] = (await server.received('PULL')) as [Frame]
    vi.advanceTimersByTime(400)
    first.from.drop()
    const [, second] = (await server.received('PULL', 2)) as [Frame, Frame]
    expect(second['wait']).toBe(600)
    second.from.reply(second, { job: null })
    expect(await pulled).toBeNull()
  })

  it('keeps what was not written for the next one', async () => {
    await client.connect()
    const lost = event('disconnect')
    ;(await server.connected()).drop()
    await lost
    const pushed = Promise.all([client.push('q', 1), client.push('q', 2)])
    expect((await pushed).map((one) => one.id)).toEqual([1, 2])
    expect(server.frames.map((frame) => [frame.cmd, frame.from.index])).toEqual([['PUSHB', 1]])
  })

  it('authenticates again with the token that was accepted last', async () => {
    await client.auth('late')
    const again = event('connect')
    ;(await server.connected()).drop()
    await again
    const [, second] = (await server.received('AUTH', 2)) as [Frame, Frame]
    expect(second).toMatchObject({ token: 'late', from: { index: 1 } })
  })

  it('ends what waits when the token is not accepted any more', async () => {
    await client.auth('old')
    server.script = (frame) =>
      frame.cmd === 'AUTH' && frame.from.index === 1 ? refusal('auth_invalid') : undefined
    const lost = event('disconnect')
    ;(await server.connected()).drop()
    await lost
    await expect(client.push('q', 1)).rejects.toMatchObject({ code: 'auth_invalid' })
    expect((await client.push('q', 2)).id).toBe(1)
  })

  it('is waited for ever longer only while no reply comes', async () => {
    const attempts: number[] = []
    client.on('reconnecting', (attempt) => attempts.push(attempt))
    await client.stats()
    for (const index of [0, 1]) {
      const again = event('connect')
      server.connections[index]?.drop()
      await again
      await client.stats()
    }
    for (const _ of ['silent', 'silent']) {
      const again = event('connect')
      server.connections.at(-1)?.drop()
      await again
    }
    expect(attempts).toEqual([1, 1, 1, 2])
  })

  it('is reported by events, and by no unhandled error', async () => {
    await client.connect()
    const seen: string[] = []
    for (const name of ['disconnect', 'reconnecting', 'connect'] as const) {
      client.on(name, () => seen.push(name))
    }
    const again = event('connect')
    ;(await server.connected()).socket.resetAndDestroy()
    await again
    expect(seen).toEqual(['disconnect', 'reconnecting', 'connect'])
  })

  it('does not let more calls wait than the limit allows', async () => {
    const small = new FlashQ({ ...server.options, offlineQueueMax: 2 })
    const outcomes = await Promise.allSettled([
      small.push('q', 1),
      small.push('q', 2),
      small.push('q', 3),
      small.stats(),
    ])
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ])
    expect(outcomes[2]).toMatchObject({ reason: { code: 'overloaded', maybeExecuted: false } })
    await small.close()
  })
})

describe('a request without an answer', () => {
  it('times out, and its late reply shifts nothing', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    server.script = (frame) => (frame.cmd === 'PAUSE' ? null : undefined)
    const pause = client.pause('q')
    pause.catch(() => {})
    const [frame] = (await server.received('PAUSE')) as [Frame]
    vi.advanceTimersByTime(5000)
    await expect(pause).rejects.toMatchObject({
      message: 'Request timeout',
      code: 'timeout',
      maybeExecuted: true,
    })
    const state = client.getState(4)
    frame.from.reply(frame)
    expect(await state).toBe('waiting')
    expect(server.connections).toHaveLength(1)
  })

  it('times out without a doubt when it only reads', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    server.script = () => null
    const state = client.getState(1)
    state.catch(() => {})
    await server.received('GETSTATE')
    vi.advanceTimersByTime(5000)
    await expect(state).rejects.toMatchObject({ code: 'timeout', maybeExecuted: false })
  })

  it('times out as not executed when it was never sent', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    server.script = () => null
    const waiting = new FlashQ({ ...server.options, token: 't', timeout: 700, retryConnect: true })
    const pushed = waiting.push('q', 1)
    pushed.catch(() => {})
    await server.received('AUTH')
    vi.advanceTimersByTime(700)
    await expect(pushed).rejects.toMatchObject({ code: 'timeout', maybeExecuted: false })
    await waiting.close()
  })

  it('ends a connection on which nothing at all comes any more', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    server.script = (frame) => (frame.from.index === 0 ? null : undefined)
    await client.connect()
    for (let time = 0; time < 3; time += 1) {
      const pause = client.pause('q')
      pause.catch(() => {})
      await server.received('PAUSE', time + 1)
      vi.advanceTimersByTime(5000)
      await expect(pause).rejects.toThrow('Request timeout')
    }
    const stats = client.stats()
    await new Promise((resolve) => client.once('reconnecting', resolve))
    vi.advanceTimersByTime(1)
    await stats
    expect(server.connections).toHaveLength(2)
  })

  it('leaves a waiting pull alone', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const pulled = client.pull('q')
    const [frame] = (await server.received('PULL')) as [Frame]
    vi.advanceTimersByTime(60_000)
    frame.from.reply(frame, { job: { id: 8 } })
    expect((await pulled).id).toBe(8)
  })
})

describe('a server that puts a request off', () => {
  it('is asked again until it does it', async () => {
    let refusals = 2
    server.script = (frame) => {
      if (frame.cmd !== 'PUSH' || refusals === 0) return undefined
      refusals -= 1
      return refusal('unavailable')
    }
    expect((await client.push('q', 1)).id).toBe(1)
    expect(server.of('PUSH')).toHaveLength(3)
  })

  it('is believed when the time is over', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    server.script = () => refusal('unavailable', 'Owner away')
    const patient = new FlashQ({ ...server.options, reconnectDelay: 1e6, reconnectDelayMax: 1e6 })
    vi.spyOn(Math, 'random').mockReturnValue(0.99)
    const pushed = patient.push('q', 1)
    pushed.catch(() => {})
    await server.received('PUSH')
    const read = patient.getState(1)
    read.catch(() => {})
    await server.received('GETSTATE')
    await new Promise((resolve) => setImmediate(resolve))
    vi.advanceTimersByTime(5000)
    await expect(pushed).rejects.toMatchObject({ code: 'unavailable', retryable: true })
    vi.restoreAllMocks()
    await patient.close()
  })

  it('is asked again for a read whose outcome is unknown, never for a write', async () => {
    server.script = (frame) => {
      const first = server.of(frame.cmd).length === 1
      return first ? refusal('outcome_unknown') : undefined
    }
    expect(await client.getState(1)).toBe('waiting')
    await expect(client.pause('q')).rejects.toMatchObject({ maybeExecuted: true })
  })
})

describe('close', () => {
  it('lets what was sent be answered', async () => {
    await client.connect()
    const pushed = client.push('q', 1)
    await client.close()
    expect((await pushed).id).toBe(1)
  })

  it('rejects at once what only waits', async () => {
    await server.stop()
    const waiting = new FlashQ({ ...server.options, retryConnect: true, reconnectDelay: 1000 })
    const pushed = waiting.push('q', 1)
    pushed.catch(() => {})
    await waiting.close()
    await expect(pushed).rejects.toMatchObject({ code: 'closed', maybeExecuted: false })
  })

  it('takes a postponement for an answer', async () => {
    server.script = () => null
    const paused = client.pause('q')
    paused.catch(() => {})
    const [frame] = (await server.received('PAUSE')) as [Frame]
    const closed = client.close({ timeoutMs: 60_000 })
    frame.from.refuse(frame, 'unavailable')
    await closed
    await expect(paused).rejects.toMatchObject({ code: 'unavailable', maybeExecuted: false })
  })

  it('rejects what is not answered in its time', async () => {
    server.script = () => null
    const paused = client.pause('q')
    paused.catch(() => {})
    await server.received('PAUSE')
    await client.close({ timeoutMs: 0 })
    await expect(paused).rejects.toMatchObject({ code: 'closed', maybeExecuted: true })
  })

  it('is idempotent, and leaves no connection', async () => {
    await client.connect()
    await Promise.all([client.close(), client.close()])
    await client.close()
    expect(client.isConnected()).toBe(false)
    await expect(client.stats()).rejects.toMatchObject({
      message: 'Not connected',
      code: 'not_connected',
    })
    await expect(client.push('q', 1)).rejects.toThrow('Not connected')
  })

  it('can be undone by connect', async () => {
    await client.connect()
    await client.close()
    await client.connect()
    await client.stats()
  })
})
