import { describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import { listening } from '../../../support/listening.ts'

const STATS = '{"ok":true,"queued":0,"processing":0,"delayed":0,"dlq":0}'
const PULL = { cmd: 'PULL', queue: 'orders' }

function dataOf(line: string): unknown {
  const { job, jobs } = JSON.parse(line)
  return jobs === undefined ? job?.data : jobs.map((each: { data: unknown }) => each.data)
}

describe('replies of one connection', () => {
  it('come in request order, one line for every line, whatever it was', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send(
      { cmd: 'STATS' },
      '\n',
      '\r\n',
      '[]\n',
      '{"cmd":"NOPE"}\n',
      ' { "cmd" : "STATS" } \r\n',
    )
    peer.send({ cmd: 'ACK', id: 7 }, { reqId: 'x', cmd: 'STATS' })
    const lines = await peer.linesOf(8)
    expect(lines[0]).toBe(STATS)
    for (const line of lines.slice(1, 5)) {
      expect(line).toMatch(/^\{"ok":false,"error":"Invalid: .*","code":"invalid"\}$/)
    }
    expect(lines[5]).toBe(STATS)
    expect(lines[6]).toBe('{"ok":false,"error":"7","code":"job_not_found"}')
    expect(lines[7]).toBe(STATS.replace('true,', 'true,"reqId":"x",'))
    expect(gate.ops.filter((op) => op === 'STATS')).toHaveLength(3)
  })

  it('are held behind a waiting pull, whose followers run all the same', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send(PULL, { cmd: 'STATS' }, { cmd: 'ACK', id: 1 }, PULL, { cmd: 'ACK', id: 2 })
    await gate.until(() => gate.ops.length === 5)
    gate.serve(['"second"'], 1)
    gate.serve(['"first"'])
    const lines = await peer.linesOf(5)
    expect(dataOf(lines[0] as string)).toBe('first')
    expect(lines[1]).toBe(STATS)
    expect(lines[2]).toContain('"error":"1"')
    expect(dataOf(lines[3] as string)).toBe('second')
    expect(lines[4]).toContain('"error":"2"')
  })

  it('with a reqId overtake', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send({ ...PULL, reqId: 1 }, PULL, { cmd: 'STATS' }, { cmd: 'STATS', reqId: 'now' })
    expect(await peer.object()).toMatchObject({ reqId: 'now' })
    gate.serve(['"ordered"'], 1)
    expect(dataOf(await peer.line())).toBe('ordered')
    expect(await peer.line()).toBe(STATS)
    gate.serve(['"late"'])
    expect(await peer.object()).toMatchObject({ reqId: 1, job: { data: 'late' } })
  })

  it('with a reqId do not hold back those that come after', async () => {
    const { client } = await listening()
    const peer = await client()
    peer.send({ ...PULL, reqId: 1 }, { cmd: 'STATS' })
    expect(await peer.line()).toBe(STATS)
  })

  it('of ten thousand commands in one packet all come, in order', async () => {
    const { client } = await listening()
    const peer = await client()
    const count = 10_000
    peer.send(Array.from({ length: count }, (_, id) => `{"cmd":"ACK","id":${id}}\n`).join(''))
    const lines = await peer.linesOf(count)
    expect(lines.map((line) => Number(JSON.parse(line).error))).toEqual(
      Array.from({ length: count }, (_, id) => id),
    )
  })

  it('come for frames that are cut anywhere', async () => {
    const { client } = await listening()
    const peer = await client()
    const text = Buffer.from('{"cmd":"ACK","id":1}\r\n{"cmd":"GETJOB","id":2,"ü":"é"}\n')
    for (const byte of text) {
      await new Promise((resolve) => peer.socket.write(Buffer.of(byte), resolve))
    }
    expect(await peer.linesOf(2)).toEqual([
      '{"ok":false,"error":"1","code":"job_not_found"}',
      '{"ok":true}',
    ])
  })

  it('leave before the waiting pulls of the turn are served', async () => {
    const { client, gate } = await listening()
    const [puller, acker] = [await client(), await client()]
    puller.send(PULL)
    await gate.until(() => gate.waiting.length === 1)
    const order: string[] = []
    gate.onTurn = () => {
      if (gate.ops.at(-1) !== 'ACK' || gate.waiting.length === 0) return
      gate.serve(['1'])
    }
    acker.send({ cmd: 'ACK', id: 3 })
    await Promise.all([
      acker.line().then(() => order.push('acked')),
      puller.line().then(() => order.push('pulled')),
    ])
    expect(order).toEqual(['acked', 'pulled'])
  })

  it('of a large batch come whole, also behind a waiting pull', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    const data = Array.from({ length: 1000 }, (_, i) => `{"i":${i},"text":"${'x'.repeat(300)}"}`)
    const PULLB = { cmd: 'PULLB', queue: 'orders', count: 1000 }
    peer.send(PULL, PULLB, PULLB, { cmd: 'STATS' })
    await gate.until(() => gate.ops.length === 4)
    gate.serve(data, 1)
    gate.serve(data, 1)
    gate.serve(['0'])
    expect(dataOf(await peer.line())).toBe(0)
    const expected = data.map((text) => JSON.parse(text))
    expect(dataOf(await peer.line())).toEqual(expected)
    expect(dataOf(await peer.line())).toEqual(expected)
    expect(await peer.line()).toBe(STATS)
  })
})

describe('commands that are not answered', () => {
  it('are bounded: the rest of the input waits until half of them are', async () => {
    const { client, gate } = await listening()
    gate.held.add('STATS')
    const peer = await client()
    const max = limits.inFlightPerConnectionMax
    peer.send(
      Array(max + 500)
        .fill('{"cmd":"STATS"}\n')
        .join(''),
    )
    await gate.until(() => gate.turns > 0 && gate.ops.length >= max)
    expect(gate.ops).toHaveLength(max)
    const answer = (count: number): void => {
      for (const { reply } of gate.waiting.splice(0, count)) reply.ok()
    }
    answer(max / 2 - 1)
    await peer.linesOf(max / 2 - 1)
    expect(gate.ops).toHaveLength(max)
    answer(1)
    await gate.until(() => gate.ops.length === max + 500)
    answer(max)
    await peer.linesOf(max / 2 + 501)
    gate.held.clear()
    peer.send({ cmd: 'STATS' })
    expect(await peer.line()).toBe(STATS)
  })

  it('count while their answers are held behind a waiting pull', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    const max = limits.inFlightPerConnectionMax
    peer.send(
      PULL,
      Array(max + 9)
        .fill('{"cmd":"STATS"}\n')
        .join(''),
    )
    await gate.until(() => gate.turns > 0 && gate.ops.length >= max)
    expect(gate.ops).toHaveLength(max)
    gate.serve(['1'])
    expect(await peer.linesOf(max + 10)).toHaveLength(max + 10)
  })
})

describe('a peer that does not read', () => {
  it('is not read from while it is owed too much, and loses nothing', async () => {
    const { client, gate } = await listening()
    const [peer, other] = [await client(), await client()]
    peer.socket.pause()
    const payload = JSON.stringify('x'.repeat(1_000_000))
    const count = 40
    for (let i = 0; i < count; i++) peer.send(PULL)
    await gate.until(() => gate.waiting.length === count)
    while (gate.waiting.length > 0) gate.serve([payload])
    other.send({ cmd: 'STATS' })
    await other.line()
    peer.send({ cmd: 'GETJOB', id: 1 })
    // Were the peer read from, its command would run before one of these.
    for (let i = 0; i < 3; i++) {
      other.send({ cmd: 'STATS' })
      await other.line()
    }
    expect(gate.ops).not.toContain('GETJOB')
    peer.socket.resume()
    const lines = await peer.linesOf(count + 1)
    expect(lines.slice(0, count).every((line) => line.length > 1_000_000)).toBe(true)
    expect(lines[count]).toBe('{"ok":true}')
    expect(gate.givenBack).toHaveLength(0)
  })

  it('at all is cut off, and the jobs it was not sent go back', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.socket.pause()
    const payload = JSON.stringify('x'.repeat(1_000_000))
    const count = 100
    for (let i = 0; i < count; i++) peer.send({ ...PULL, reqId: i })
    await gate.until(() => gate.waiting.length === count)
    while (gate.waiting.length > 0) gate.serve([payload])
    await gate.until(() => gate.closed.length === 1)
    expect(gate.givenBack.length).toBeGreaterThan(50)
    expect(gate.givenBack.length).toBeLessThan(count + 1)
  })
})
