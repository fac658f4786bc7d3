import { describe, expect, it } from 'vitest'
import type { IssuedToken } from '../../../../src/transports/auth/authenticator.ts'
import { digestOf } from '../../../../src/transports/auth/token.ts'
import { FakeMoves } from '../../../support/fake-moves.ts'
import type { LineClient } from '../../../support/line-client.ts'
import { type Listening, listening } from '../../../support/listening.ts'

const OK = '{"ok":true}'
const PULL = { cmd: 'PULL', queue: 'orders' }
const GETJOB = { cmd: 'GETJOB', id: 7 }
/** Far beyond what any test takes: nothing here is decided by time. */
const LONG_MS = 60_000

interface Two {
  readonly moves: FakeMoves
  readonly here: Listening
  readonly there: Listening
  client(): Promise<LineClient>
  /** What the connection leaves with has been announced, announced there, and its socket has gone there. */
  move(): Promise<void>
}

/** A listener whose connections may go to another one. */
async function two(tokens: string[] = [], issued?: IssuedToken[]): Promise<Two> {
  const moves = new FakeMoves()
  const options = issued === undefined ? { tokens } : { tokens, issued }
  const here = await listening({ ...options, moves })
  const there = await listening(options)
  moves.other = there.listener
  const move = async (): Promise<void> => {
    for (const { done } of moves.forgotten.splice(0)) done()
    await step(moves, () => moves.announced.length > 0)
    const arriving = moves.expect()
    moves.announced.pop()?.answer(true)
    await step(moves, () => moves.handed.length > 0)
    moves.deliver(arriving)
  }
  return { moves, here, there, move, client: here.client }
}

function step(moves: FakeMoves, isDone: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    moves.onStep = () => {
      if (isDone()) resolve()
    }
    moves.onStep()
  })
}

describe('a connection that leaves', () => {
  it('is served by the other worker, and evacuation is over when it is', async () => {
    const { here, there, client, move } = await two()
    const peer = await client()
    peer.send(GETJOB)
    expect(await peer.line()).toBe(OK)
    const evacuated = here.listener.evacuate(LONG_MS)
    await move()
    await evacuated
    peer.send(GETJOB)
    expect(await peer.line()).toBe(OK)
    expect(there.gate.ops).toEqual(['GETJOB'])
    expect(here.listener.size + there.listener.size).toBe(1)
    expect(here.gate.closed).toEqual([])
  })

  it('waits for what is being answered, and runs nothing more', async () => {
    const { here, there, moves, client, move } = await two()
    here.gate.held.add('GETJOB')
    const peer = await client()
    peer.send(GETJOB)
    await here.gate.until(() => here.gate.waiting.length === 1)
    const evacuated = here.listener.evacuate(LONG_MS)
    peer.send({ cmd: 'GETJOB', id: 8 })
    expect(moves.announced).toEqual([])
    here.gate.waiting.pop()?.reply.ok()
    expect(await peer.line()).toBe(OK)
    await move()
    await evacuated
    expect(await peer.line()).toBe(OK)
    expect(here.gate.ops).toEqual(['GETJOB'])
    expect(there.gate.ops).toEqual(['GETJOB'])
  })

  it('takes its waiting pulls along, with what is left of their wait, in order', async () => {
    const { here, there, client, move } = await two()
    const peer = await client()
    peer.send(
      { cmd: 'PULL', queue: 'a', wait: 10_000 },
      { cmd: 'PULLB', queue: 'b', count: 3, wait: 10_000, lease: 5, reqId: 'ü"' },
      { cmd: 'PULL', token: true, release_on_close: true, x: 'y'.repeat(3000), queue: 'c' },
      '{"queue":"d","cmd":"PULL","reqId":-12345678901234567890,"wait":3}\n',
    )
    await here.gate.until(() => here.gate.waiting.length === 4)
    here.clock.ms += 4000
    const evacuated = here.listener.evacuate(LONG_MS)
    await move()
    await evacuated
    expect(there.gate.frames).toEqual([
      '{"cmd":"PULL","queue":"a","wait":6000}',
      '{"cmd":"PULLB","reqId":"ü\\"","queue":"b","count":3,"wait":6000,"lease":5}',
      '{"cmd":"PULL","queue":"c","token":true,"release_on_close":true}',
      '{"cmd":"PULL","reqId":-12345678901234567890,"queue":"d","wait":0}',
    ])
    there.gate.serve(['3'], 2)
    there.gate.serve(['1'], 0)
    there.gate.serve(['2'], 0)
    const got = await peer.linesOf(3)
    // The batch has a reqId and does not wait for the others.
    expect(got.map((line) => /"data":(\d)/.exec(line)?.[1])).toEqual(['1', '3', '2'])
    expect(here.gate.givenBack).toEqual([])
  })

  it('still gets what came for a pull before that was forgotten', async () => {
    const { here, there, moves, client, move } = await two()
    const peer = await client()
    peer.send(PULL, PULL)
    await here.gate.until(() => here.gate.waiting.length === 2)
    const evacuated = here.listener.evacuate(LONG_MS)
    expect(moves.forgotten).toHaveLength(1)
    here.gate.serve(['1'])
    expect(await peer.line()).toContain('"data":1')
    await move()
    await evacuated
    expect(there.gate.ops).toEqual(['PULL'])
    there.gate.serve(['2'])
    expect(await peer.line()).toContain('"data":2')
  })

  it('takes along replies that wait for a pull, and the jobs in them', async () => {
    const { here, there, client, move } = await two()
    const peer = await client()
    peer.send(PULL, GETJOB, PULL)
    await here.gate.until(() => here.gate.waiting.length === 2)
    here.gate.serve(['2'], 1)
    const evacuated = here.listener.evacuate(LONG_MS)
    await move()
    await evacuated
    expect(there.gate.ops).toEqual(['PULL'])
    there.gate.serve(['1'])
    const lines = await peer.linesOf(3)
    expect(lines[0]).toContain('"data":1')
    expect(lines[1]).toBe(OK)
    expect(lines[2]).toContain('"data":2')
    expect(here.gate.givenBack.concat(there.gate.givenBack)).toEqual([])
  })

  it('that is lost there gives the jobs of such replies back there', async () => {
    const { here, there, client, move } = await two()
    const peer = await client()
    peer.send(PULL, PULL)
    await here.gate.until(() => here.gate.waiting.length === 2)
    here.gate.serve(['2'], 1)
    const evacuated = here.listener.evacuate(LONG_MS)
    await move()
    await evacuated
    peer.socket.resetAndDestroy()
    await there.gate.until(() => there.gate.closed.length === 1)
    expect(there.gate.givenBack).toHaveLength(1)
    expect(here.gate.givenBack).toEqual([])
  })

  it('that has no socket any more gives them back too', async () => {
    const { here, there, moves, client } = await two()
    const peer = await client()
    peer.send({ cmd: 'SUBSCRIBE', queue: 'q', events: ['*'] }, PULL, PULL)
    await here.gate.until(() => here.gate.waiting.length === 2)
    here.gate.serve(['2'], 1)
    const evacuated = here.listener.evacuate(LONG_MS)
    moves.forgotten.pop()?.done()
    await step(moves, () => moves.announced.length > 0)
    const arriving = moves.expect()
    moves.announced.pop()?.answer(true)
    await step(moves, () => moves.handed.length > 0)
    arriving.arrived(null)
    moves.handed.pop()?.done()
    await evacuated
    expect(there.gate.givenBack).toHaveLength(1)
    expect(there.gate.closed).toEqual([arriving.session])
    expect(there.gate.unsubscribed).toEqual(['q'])
  })

  it('takes half a frame along, and frames that it had no room to run', async () => {
    const { here, there, client, move } = await two()
    const peer = await client()
    for (let n = 0; n < 1024; n++) peer.send(PULL)
    peer.send(GETJOB, GETJOB, '{"cmd":"GETJOB"')
    await here.gate.until(() => here.gate.waiting.length === 1024)
    const evacuated = here.listener.evacuate(LONG_MS)
    await move()
    await evacuated
    for (let n = 0; n < 1024; n++) there.gate.serve([String(n)])
    peer.send(',"id":9}\n')
    const lines = await peer.linesOf(1027)
    expect(lines.slice(1024)).toEqual([OK, OK, OK])
    expect(there.gate.ops.filter((op) => op === 'GETJOB')).toHaveLength(3)
    expect(here.gate.ops).not.toContain('GETJOB')
  })

  it('stays authenticated, or a stranger with a stranger’s limits', async () => {
    const { here, there, client, move } = await two(['secret'])
    const peer = await client()
    peer.send({ cmd: 'AUTH', token: 'secret' })
    expect(await peer.line()).toBe(OK)
    const first = here.listener.evacuate(LONG_MS)
    await move()
    await first
    peer.send(GETJOB)
    expect(await peer.line()).toBe(OK)

    const again = await two(['secret'])
    const stranger = await again.client()
    stranger.send('{"cmd":"PULL",')
    stranger.send({ x: 1 })
    await stranger.line()
    const second = again.here.listener.evacuate(LONG_MS)
    await again.move()
    await second
    stranger.send(`{"cmd":"AUTH","token":"${'x'.repeat(5000)}"}\n`)
    expect(await stranger.line()).toContain('"code":"frame_too_large"')
    expect(there.gate.ops).toEqual(['GETJOB'])
  })

  it('hears events from here, then from there, each once', async () => {
    const { here, there, moves, client } = await two()
    const peer = await client()
    peer.send({ cmd: 'SUBSCRIBE', queue: 'q', events: ['*'] })
    expect(await peer.line()).toBe(OK)
    const before = here.gate.subscribed[0]?.subscriber
    const evacuated = here.listener.evacuate(LONG_MS)
    await step(moves, () => moves.announced.length > 0)
    expect(moves.announced[0]?.subscriber).toBe(before)
    const arriving = moves.expect()
    arriving.subscriber.event(Buffer.from('3\n'))
    before?.event(Buffer.from('1\n'))
    before?.event(Buffer.from('2\n'))
    moves.announced.pop()?.answer(true)
    await step(moves, () => moves.handed.length > 0)
    moves.deliver(arriving)
    await evacuated
    arriving.subscriber.event(Buffer.from('4\n'))
    expect(await peer.linesOf(4)).toEqual(['1', '2', '3', '4'])
    peer.send({ cmd: 'UNSUBSCRIBE', queue: 'q' })
    expect(await peer.line()).toBe(OK)
    expect(there.gate.unsubscribed).toEqual(['q'])
    expect(here.gate.unsubscribed).toEqual([])
  })

  it('is told how many events it missed on its way', async () => {
    const { here, moves, client } = await two()
    const peer = await client()
    peer.send({ cmd: 'SUBSCRIBE', queue: 'q', events: ['*'] })
    expect(await peer.line()).toBe(OK)
    const evacuated = here.listener.evacuate(LONG_MS)
    await step(moves, () => moves.announced.length > 0)
    const arriving = moves.expect()
    const line = Buffer.from(`${'x'.repeat(600_000)}\n`)
    for (let n = 0; n < 3; n++) arriving.subscriber.event(line)
    moves.announced.pop()?.answer(true)
    await step(moves, () => moves.handed.length > 0)
    moves.deliver(arriving)
    await evacuated
    expect((await peer.line()).length).toBe(600_000)
    expect(await peer.line()).toBe('{"event":"dropped","count":2}')
  })
})

describe('a connection that can not leave', () => {
  it('goes on here: its pulls are asked again, and what was sent meanwhile runs', async () => {
    const { here, moves, client } = await two()
    const peer = await client()
    peer.send({ ...PULL, wait: 5000 }, { cmd: 'SUBSCRIBE', queue: 'q', events: ['failed'] })
    await here.gate.until(() => here.gate.waiting.length === 1)
    const evacuated = here.listener.evacuate(LONG_MS)
    peer.send(GETJOB)
    moves.forgotten.pop()?.done()
    await step(moves, () => moves.announced.length > 0)
    here.clock.ms += 1000
    // No further try for now.
    moves.other = null
    moves.announced.pop()?.answer(false)
    await here.gate.until(() => here.gate.frames.length === 3)
    expect(here.gate.frames.slice(1)).toEqual([
      '{"cmd":"PULL","queue":"orders","wait":4000}',
      '{"cmd":"GETJOB","id":7}',
    ])
    expect(here.gate.subscribed.map(({ events }) => events)).toEqual([4, 4])
    expect(here.gate.waiting[1]?.session.leaving).toBe(false)
    here.gate.serve(['1'], 1)
    const lines = await peer.linesOf(3)
    expect(lines[0]).toContain('"data":1')
    expect(lines.slice(1)).toEqual([OK, OK])
    peer.destroy()
    await evacuated
  })

  it('because the link is full, or because the other worker has died after all', async () => {
    for (const isReady of [false, true]) {
      const { here, moves, client } = await two()
      const peer = await client()
      peer.send({ cmd: 'SUBSCRIBE', queue: 'q', events: ['*'] })
      expect(await peer.line()).toBe(OK)
      moves.full = !isReady
      if (isReady) {
        const evacuated = here.listener.evacuate(LONG_MS)
        await step(moves, () => moves.announced.length > 0)
        const { answer, subscriber } = moves.announced.pop() ?? {}
        moves.other = null
        // As much as the kernel will not take at once: it is not handed over yet.
        const line = Buffer.from(`${'x'.repeat(900_000)}\n`)
        peer.socket.pause()
        for (let n = 0; n < 9; n++) subscriber?.event(line)
        answer?.(true)
        answer?.(false)
        peer.socket.resume()
        peer.send(GETJOB)
        await here.gate.until(() => here.gate.ops.includes('GETJOB'))
        expect(moves.handed).toEqual([])
        peer.destroy()
        await evacuated
      } else {
        const evacuated = here.listener.evacuate(LONG_MS)
        peer.send(GETJOB)
        expect(await peer.line()).toBe(OK)
        peer.destroy()
        await evacuated
      }
    }
  })

  it('is drained when the time is over', async () => {
    const { here, moves, client } = await two()
    moves.other = null
    const peer = await client()
    peer.send(PULL, GETJOB)
    await here.gate.until(() => here.gate.waiting.length === 1)
    const evacuated = here.listener.evacuate(1)
    const lines = await peer.linesOf(2)
    expect(lines[0]).toContain('"code":"draining"')
    expect(lines[1]).toBe(OK)
    await peer.ended
    peer.destroy()
    await evacuated
  })

  it('is drained also when the other worker does not answer', async () => {
    const { here, moves, client } = await two()
    const peer = await client()
    peer.send({ ...PULL, wait: 5000 })
    await here.gate.until(() => here.gate.waiting.length === 1)
    const evacuated = here.listener.evacuate(1)
    moves.forgotten.pop()?.done()
    expect(await peer.line()).toContain('"code":"draining"')
    expect(moves.off).toBe(1)
    await peer.ended
    peer.destroy()
    await evacuated
    expect(here.gate.closed).toHaveLength(1)
    // What is said to it now comes too late.
    moves.announced.pop()?.answer(true)
    expect(moves.handed).toEqual([])
  })

  it('is closed here when its peer goes away on the way', async () => {
    const { here, moves, client } = await two()
    const peer = await client()
    peer.send(PULL, PULL)
    await here.gate.until(() => here.gate.waiting.length === 2)
    here.gate.serve(['2'], 1)
    const evacuated = here.listener.evacuate(LONG_MS)
    moves.forgotten.pop()?.done()
    await step(moves, () => moves.announced.length > 0)
    await here.listener.stop()
    await evacuated
    expect(moves.off).toBe(1)
    expect(here.gate.givenBack).toHaveLength(1)
    expect(here.gate.closed).toHaveLength(1)
  })

  it('because it is ending already: its input has ended, or its framing is lost', async () => {
    const { here, moves, client } = await two()
    const peer = await client()
    here.gate.held.add('GETJOB')
    peer.send(GETJOB)
    peer.socket.end()
    await here.gate.until(() => here.gate.closed.length === 1)
    const evacuated = here.listener.evacuate(LONG_MS)
    here.gate.waiting.pop()?.reply.ok()
    expect(await peer.rests()).toEqual([OK])
    await evacuated
    expect(moves.announced).toEqual([])
  })
})

describe('the token of a connection that leaves', () => {
  const FORBIDDEN = '{"ok":false,"error":"This token may not do that","code":"forbidden"}'
  const INVALID = '{"ok":false,"error":"Invalid token","code":"auth_invalid"}'
  const REQUIRED = '{"ok":false,"error":"Authentication required","code":"auth_required"}'
  const limited: IssuedToken = {
    digest: digestOf('limited'),
    id: null,
    principal: { name: 'limited', scopes: new Set(['consume']), queues: ['orders'] },
    expiresAtMs: Number.POSITIVE_INFINITY,
  }

  it('is good for the same at the other worker', async () => {
    const { here, there, client, move } = await two(['full'], [limited])
    const peer = await client()
    peer.send({ cmd: 'AUTH', token: 'limited' }, PULL)
    expect(await peer.line()).toBe(OK)
    const evacuated = here.listener.evacuate(LONG_MS)
    await move()
    await evacuated
    await there.gate.until(() => there.gate.waiting.length === 1)
    there.gate.serve(['1'])
    expect(await peer.line()).toContain('"queue":"orders"')
    peer.send({ cmd: 'PULL', queue: 'other' }, { cmd: 'PUSH', queue: 'orders', data: 1 })
    expect(await peer.linesOf(2)).toEqual([FORBIDDEN, FORBIDDEN])
  })

  it('ends the connection when it is not good there', async () => {
    const { here, there, client, move } = await two([], [limited])
    const peer = await client()
    peer.send({ cmd: 'AUTH', token: 'limited' }, PULL)
    expect(await peer.line()).toBe(OK)
    there.auth.replace([])
    const evacuated = here.listener.evacuate(LONG_MS)
    await move()
    await evacuated
    expect(await peer.rests()).toEqual([INVALID])
    expect(there.gate.ops).toEqual([])
  })

  it('ends it there when it is revoked later', async () => {
    const { here, there, client, move } = await two(['full'], [limited])
    const peer = await client()
    peer.send({ cmd: 'AUTH', token: 'limited' }, { cmd: 'AUTH', token: 'full' }, GETJOB)
    expect(await peer.linesOf(3)).toEqual([OK, OK, OK])
    const evacuated = here.listener.evacuate(LONG_MS)
    await move()
    await evacuated
    there.auth.replace([])
    expect(await peer.rests()).toEqual([])
  })

  it('ends it here when it is revoked on the way', async () => {
    const { here, client } = await two(['full'], [limited])
    const peer = await client()
    peer.send({ cmd: 'AUTH', token: 'limited' }, PULL)
    expect(await peer.line()).toBe(OK)
    const evacuated = here.listener.evacuate(LONG_MS)
    here.auth.replace([])
    expect(await peer.rests()).toEqual([INVALID])
    await evacuated
  })

  it('has to be shown there when it was not shown here', async () => {
    const { here, client, move } = await two(['full'])
    const peer = await client()
    peer.send(GETJOB)
    expect(await peer.line()).toBe(REQUIRED)
    const evacuated = here.listener.evacuate(LONG_MS)
    await move()
    await evacuated
    peer.send(GETJOB, { cmd: 'AUTH', token: 'full' }, GETJOB)
    expect(await peer.linesOf(3)).toEqual([REQUIRED, OK, OK])
  })
})
