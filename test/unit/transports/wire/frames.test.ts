import { describe, expect, it } from 'vitest'
import { frameAround, frameOf, isJson, refuseJson } from '../../../../src/transports/wire/frames.ts'

const around = (body: string) => {
  const frame = frameAround('PUSH', { queue: 'q"é', full: true }, Buffer.from(body))
  return Buffer.isBuffer(frame) ? frame.toString() : frame
}
/** The same where there is room before and behind. */
const inPlace = (body: string, room = 100) => {
  const bytes = Buffer.concat([Buffer.alloc(room, 0x0a), Buffer.from(body), Buffer.alloc(1)])
  const to = room + Buffer.byteLength(body)
  const frame = frameAround('PUSH', { queue: 'q"é', full: true }, bytes, room, to)
  return Buffer.isBuffer(frame) ? frame.toString() : frame
}
const HEAD = '{"cmd":"PUSH","queue":"q\\"é","full":true'

describe('a frame', () => {
  it('has its fields in order; what is undefined is left out', () => {
    const data = Buffer.from('{\n"a":\r\n1}')
    const frame = frameOf('PUSH', { queue: 'q', delay: undefined, data, priority: -1 })
    expect(frame.toString()).toBe('{"cmd":"PUSH","queue":"q","data":{\t"a":\r\t1},"priority":-1}\n')
  })

  it('takes the fields of a body that nobody has read', () => {
    for (const make of [around, inPlace]) {
      expect(make('{"data":{"n":12345678901234567890}}')).toBe(
        `${HEAD},"data":{"n":12345678901234567890}}\n`,
      )
      expect(make(' \r\n{ \n "data": [1,\n2] }\n ')).toBe(`${HEAD},"data": [1,\t2] }\n`)
      expect(make('{}')).toBe(`${HEAD}}\n`)
      expect(make('{ \n }')).toBe(`${HEAD}}\n`)
    }
  })

  it('is made where the body is, or elsewhere when its head has no room', () => {
    expect(inPlace('{"data":1}', 5)).toBe(`${HEAD},"data":1}\n`)
    expect(inPlace('{"data":1}', 1)).toBe(`${HEAD},"data":1}\n`)
    expect(inPlace('{"data":1}', 41)).toBe(`${HEAD},"data":1}\n`)
  })

  it('takes no body that is no object', () => {
    const refusal = { code: 'invalid', text: 'Invalid: the body is not a JSON object' }
    for (const body of ['', ' ', '[]', '1', '{', '}', '{"a":1', '"{}"', 'null']) {
      expect(around(body), body).toEqual(refusal)
      expect(inPlace(body), body).toEqual(refusal)
    }
  })

  it('knows JSON from what would say more than its data', () => {
    expect(isJson(Buffer.from(' {"a":[1]}\n'))).toBe(true)
    for (const no of ['', '1,"priority":5', '{}}', '{"a":1},"b":{}', 'undefined', '"\xff"']) {
      expect(isJson(Buffer.from(no, 'latin1')), no).toBe(false)
    }
  })
  it('says of JSON what is wrong with it: no JSON, or too deep', () => {
    const nested = (depth: number): Buffer => Buffer.from('['.repeat(depth) + ']'.repeat(depth))
    expect(refuseJson(nested(64))).toBeNull()
    expect(refuseJson(nested(65))?.code).toBe('limit_exceeded')
    expect(refuseJson(Buffer.from('[1,]'))?.code).toBe('invalid')
    expect(refuseJson(Buffer.alloc(0))?.code).toBe('invalid')
  })
})
