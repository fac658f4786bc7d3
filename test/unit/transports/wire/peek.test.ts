import { describe, expect, it } from 'vitest'
import { Command } from '../../../../src/engine/command.ts'
import { Op, type OpName, routeOf } from '../../../../src/engine/op.ts'
import { peekFrame } from '../../../../src/transports/wire/peek.ts'
import { lineArea } from '../../../../src/transports/wire/scan-kernel.ts'

const command = new Command()

/** In any memory, and in that of the kernel. */
function peek(text: string): boolean {
  const line = Buffer.from(`${text}\n`)
  const inKernel = lineArea(0).subarray(0, line.length)
  line.copy(inKernel)
  const isPeeked = peekFrame(inKernel, 0, line.length - 1, command)
  const { op, id } = command
  expect(peekFrame(line, 0, line.length - 1, command)).toBe(isPeeked)
  if (isPeeked) expect([command.op, command.id]).toEqual([op, id])
  return isPeeked
}

function reqId(): string {
  return command.bytes.toString('latin1', command.reqIdFrom, command.reqIdTo)
}

describe('peekFrame', () => {
  it('finds the queue, the name or the id of every command that goes to a shard', () => {
    for (const [name, route] of Object.entries(routeOf) as [OpName, string][]) {
      const key = {
        queue: '"queue":"mail"',
        id: '"id":77',
        ids: '"ids":[77,109]',
        name: '"name":"tick"',
      }
      const text = key[route as keyof typeof key]
      expect(peek(`{"cmd":"${name}",${text ?? '"queue":"mail"'}}`), name).toBe(text !== undefined)
      if (text === undefined) continue
      expect(command.op).toBe(Op[name])
      if (route === 'queue') expect(command.queue).toBe('mail')
      if (route === 'name') expect(command.name).toBe('tick')
      if (route === 'id' || route === 'ids') expect(command.id).toBe(77)
    }
  })

  it('does not look at what follows the key', () => {
    expect(peek('{"cmd":"PUSH","queue":"mail","data":{{{')).toBe(true)
  })

  it('finds a reqId before and after the command', () => {
    expect(peek('{"cmd":"PUSH","reqId":7,"queue":"mail","data":1}')).toBe(true)
    expect(reqId()).toBe('7')
    expect(peek('{"reqId":"a-1","cmd":"ACK","id":5}')).toBe(true)
    expect(reqId()).toBe('"a-1"')
    expect(peek('{"cmd":"ACK","id":5,"reqId":8}')).toBe(true)
    expect(command.reqIdFrom).toBe(-1)
  })

  it('takes ids only when all of them are of one shard', () => {
    expect(peek('{"cmd":"ACKB","ids":[33,65,97]}')).toBe(true)
    expect(command.id).toBe(33)
    expect(peek('{"cmd":"ACKB","ids":[33,65,98]}')).toBe(false)
    expect(peek('{"cmd":"ACKB","ids":[]}')).toBe(false)
    // Up to 15 digits; the difference is no whole number of shards.
    expect(peek('{"cmd":"ACKB","ids":[999999999999968,32,64,999999999999936]}')).toBe(true)
    expect(peek('{"cmd":"ACKB","ids":[999999999999968,999999999999967]}')).toBe(false)
    expect(peek('{"cmd":"HEARTBEAT","ids":[1,33]}')).toBe(true)
    expect(peek('{"cmd":"RELEASE","id":34}')).toBe(true)
    expect(command.id).toBe(34)
    const many = Array.from({ length: 1001 }, () => 32)
    expect(peek(`{"cmd":"ACKB","ids":[${many.slice(1).join()}]}`)).toBe(true)
    expect(peek(`{"cmd":"ACKB","ids":[${many.join()}]}`)).toBe(false)
  })

  it.each([
    '',
    '{',
    '{}',
    '[]',
    ' {"cmd":"PAUSE","queue":"q"}',
    '{"cmd": "PAUSE","queue":"q"}',
    '{"cmd":"PAUSE", "queue":"q"}',
    '{"queue":"q","cmd":"PAUSE"}',
    '{"cmd":"PAUSE","queue":"q',
    '{"cmd":"PAUSE","queue":""}',
    '{"cmd":"PAUSE","queue":"\\u0071"}',
    '{"cmd":"PA\\u0055SE","queue":"q"}',
    '{"cmd":"pause","queue":"q"}',
    '{"cmd":"PAUSE","queue":7}',
    '{"cmd":"PAUSE"}',
    '{"cmd":"PAUSE","reqId":"a\\"b","queue":"q"}',
    `{"cmd":"PAUSE","reqId":"${'x'.repeat(63)}","queue":"q"}`,
    '{"cmd":"PAUSE","reqId":1.5,"queue":"q"}',
    '{"cmd":"PAUSE","reqId":1,"reqId":2,"queue":"q"}',
    '{"cmd":"ACK","id":1.5}',
    '{"cmd":"ACK","id":-1}',
    '{"cmd":"ACK","id":1e3}',
    '{"cmd":"ACK","id":"1"}',
    '{"cmd":"ACK","id":',
    '{"cmd":"ACK","id":1',
    '{"cmd":"ACK","id":12345678901234567890}',
    '{"cmd":"ACKB","ids":[1',
    '{"cmd":"ACKB","ids":[1,null]}',
    '{"cmd":"ACKB","id":1}',
    '{"cmd":"STATS"}',
  ])('leaves %j to the scan', (text) => {
    expect(peek(text)).toBe(false)
  })

  it('does not find a key that only the bytes behind the frame complete', () => {
    const line = Buffer.from('{"cmd":"PAUSE","queue":"mail"}\n')
    for (let to = 0; to < 29; to++) expect(peekFrame(line, 0, to, command)).toBe(false)
  })
})
