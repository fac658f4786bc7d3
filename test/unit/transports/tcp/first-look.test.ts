import { describe, expect, it } from 'vitest'
import { opNames, routeOf } from '../../../../src/engine/op.ts'
import { Asked, lookAt, UNSURE } from '../../../../src/transports/tcp/first-look.ts'

const look = (text: string): number => lookAt(Buffer.from(`xx${text}`), 2)

describe('the first look at a frame', () => {
  it('knows a pull, and leaves our own commands to the scan', () => {
    for (const name of opNames) {
      if (name === undefined) continue
      const expected =
        routeOf[name] === 'connection'
          ? UNSURE
          : name === 'PULL'
            ? Asked.pull
            : name === 'PULLB'
              ? Asked.pullBatch
              : Asked.other
      expect(look(`{"cmd":"${name}","queue":"q"}`), name).toBe(expected)
    }
  })

  it('is unsure of whatever clients do not usually write', () => {
    const odd = ['', '{', '{"cmd":', '{"cmd":"', '{"cmd":"A', ' {"cmd":"ACK"}', '{ "cmd":"ACK"}']
    const escaped = ['{"cmd":"\\u0041UTH"', '{"cmd":"S\\u0055BSCRIBE"', '{"cmd":"PU\\u004cL"']
    for (const text of [...odd, ...escaped, '{"reqId":1,"cmd":"ACK"}']) {
      expect(look(text), text).toBe(UNSURE)
    }
  })
})
