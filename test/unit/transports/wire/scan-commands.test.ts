// The fields of commands: types, ranges, lists. Numbers in titles: design/reliability.md, D.5.

import { describe, expect, it } from 'vitest'
import { Command } from '../../../../src/engine/command.ts'
import { EventKind } from '../../../../src/engine/ports.ts'
import { scanFrame } from '../../../../src/transports/wire/scan.ts'

const command = new Command()

/** The refusal's text, or null. */
function scan(frame: string): string | null {
  const line = Buffer.from(`${frame}\n`)
  return scanFrame(line, 0, line.length - 1, command)?.text ?? null
}

function code(frame: string): string | null {
  const line = Buffer.from(`${frame}\n`)
  return scanFrame(line, 0, line.length - 1, command)?.code ?? null
}

function raw(from: number, to: number): string {
  return command.bytes.toString('utf8', from, to)
}

describe('commands', () => {
  it('47 refuses a command that it does not know', () => {
    for (const name of ['push', 'NO', '', 'constructor', '__proto__', 'PUSH ']) {
      expect(scan(`{"cmd":"${name}","queue":"q","data":1}`)).toBe(
        `Invalid: unknown command ${JSON.stringify(name)}`,
      )
    }
    expect(scan(`{"cmd":"${'x'.repeat(1_000_000)}"}`)).toHaveLength(67)
    expect(scan('{"cmd":7}')).toBe('Invalid: field "cmd" must be a string')
    expect(scan('{"queue":"q"}')).toBe('Invalid: missing field "cmd"')
    expect(scan('{}')).toBe('Invalid: missing field "cmd"')
  })

  it('33 wants a string for the queue, and decodes it', () => {
    for (const [text, queue] of [
      ['"mail"', 'mail'],
      ['"ma\\u0069l"', 'mail'],
      ['"é"', 'é'],
      ['""', ''],
      [`"${'q'.repeat(300)}"`, 'q'.repeat(300)],
    ]) {
      expect(scan(`{"cmd":"PAUSE","queue":${text}}`)).toBe(null)
      expect(command.queue).toBe(queue)
    }
    for (const wrong of ['7', 'null', '[]', '{"toString":"q"}', 'true']) {
      expect(scan(`{"cmd":"PAUSE","queue":${wrong}}`)).toBe(
        'Invalid: field "queue" must be a string',
      )
    }
    expect(scan('{"cmd":"PAUSE"}')).toBe('Invalid: missing field "queue"')
  })

  it('reads the options of PULL and PULLB', () => {
    const options = '"wait":500,"lease":3000,"token":true,"release_on_close":true'
    const shown = (): unknown[] => [
      ...[command.queue, command.count, command.waitMs, command.leaseMs],
      ...[command.wantsToken, command.releaseOnClose],
    ]
    expect(scan(`{"cmd":"PULL","queue":"q",${options}}`)).toBe(null)
    expect(shown()).toEqual(['q', 1, 500, 3000, true, true])
    expect(scan(`{"cmd":"PULLB","queue":"q","count":20,${options}}`)).toBe(null)
    expect(shown()).toEqual(['q', 20, 500, 3000, true, true])
    expect(scan('{"cmd":"PULL","queue":"q"}')).toBe(null)
    expect(shown()).toEqual(['q', 1, -1, 0, false, false])
    const nulls = options.replace(/:[^,]+/g, ':null')
    expect(scan(`{"cmd":"PULL","queue":"q",${nulls}}`)).toBe(null)
    expect(shown()).toEqual(['q', 1, -1, 0, false, false])
    expect(scan('{"cmd":"PULL","queue":"q","wait":0}')).toBe(null)
    expect(command.waitMs).toBe(0)
    expect(scan('{"cmd":"PULL","queue":"q","wait":86400001}')).toContain('the maximum is 86400000')
    expect(scan('{"cmd":"PULL","queue":"q","token":1}')).toBe(
      'Invalid: field "token" must be true or false',
    )
  })

  it('40 reduces a count to 1,000, and takes 0', () => {
    for (const [count, read] of [
      [0, 0],
      [1, 1],
      [1000, 1000],
      [1001, 1000],
      [1e9, 1000],
    ]) {
      expect(scan(`{"cmd":"PULLB","queue":"q","count":${count}}`)).toBe(null)
      expect(command.count).toBe(read)
      expect(scan(`{"cmd":"DLQ","queue":"q","count":${count}}`)).toBe(null)
      expect(command.count).toBe(read)
    }
    expect(scan('{"cmd":"PULLB","queue":"q"}')).toBe('Invalid: missing field "count"')
    for (const wrong of ['null', '-1', '1.5', '"1"']) {
      expect(scan(`{"cmd":"PULLB","queue":"q","count":${wrong}}`)).toContain(
        '"count" must be an integer',
      )
    }
    expect(scan('{"cmd":"DLQ","queue":"q","count":null}')).toBe(null)
    expect(command.count).toBe(100)
  })

  it('reads ACK, FAIL and PROGRESS', () => {
    expect(scan('{"cmd":"ACK","id":9007199254740991,"result":{"a":1},"token":12}')).toBe(null)
    expect([command.id, command.token]).toEqual([Number.MAX_SAFE_INTEGER, 12])
    expect(raw(command.resultFrom, command.resultTo)).toBe('{"a":1}')
    for (const frame of [
      '{"cmd":"ACK","id":5}',
      '{"cmd":"ACK","id":5,"result":null,"token":null}',
    ]) {
      expect(scan(frame)).toBe(null)
      expect([command.id, command.token, command.resultFrom, command.resultTo]).toEqual([
        5,
        Number.NaN,
        -1,
        -1,
      ])
    }
    expect(scan('{"cmd":"FAIL","id":5,"error":"no\\n\\u00e9","token":1}')).toBe(null)
    expect([command.id, command.text, command.token]).toEqual([5, 'no\né', 1])
    expect(scan('{"cmd":"FAIL","id":5,"error":null}')).toBe(null)
    expect(command.text).toBe(null)
    expect(scan('{"cmd":"FAIL","id":5,"error":7}')).toBe('Invalid: field "error" must be a string')
    expect(scan('{"cmd":"PROGRESS","id":5,"progress":255,"message":"half"}')).toBe(null)
    expect([command.id, command.progress, command.text]).toEqual([5, 255, 'half'])
    // 45
    expect(scan('{"cmd":"PROGRESS","id":5,"progress":256}')).toContain('the maximum is 255')
    expect(scan('{"cmd":"PROGRESS","id":5,"progress":-1}')).toContain('must be an integer')
    for (const wrong of ['null', '"5"', '5.0', '-5', '9007199254740992', '[5]']) {
      for (const cmd of [
        'ACK',
        'FAIL',
        'GETJOB',
        'GETSTATE',
        'GETRESULT',
        'CANCEL',
        'GETPROGRESS',
      ]) {
        expect(scan(`{"cmd":"${cmd}","id":${wrong}}`), cmd).toBe(
          'Invalid: field "id" must be an integer from 0 to 2^53 - 1',
        )
      }
    }
  })

  it('reads ACKB, its lists in any order', () => {
    const lists = [
      '"ids":[5, 37,9007199254740991 ]',
      '"tokens":[1,null,3]',
      '"results":[{"a":[1]}, null ,"x"]',
    ]
    for (const frame of [
      `{"cmd":"ACKB",${lists.join()}}`,
      `{${lists.join()},"cmd":"ACKB"}`,
      `{"results":[{"a":[1]},null,"x"],"cmd":"ACKB",${lists[1]},${lists[0]}}`,
    ]) {
      expect(scan(frame)).toBe(null)
      expect([...command.ids.subarray(0, command.idCount)]).toEqual([
        5,
        37,
        Number.MAX_SAFE_INTEGER,
      ])
      expect([...command.tokens.subarray(0, 3)]).toEqual([1, Number.NaN, 3])
      expect([command.hasTokens, command.hasResults, command.id]).toEqual([true, true, 5])
      const results = [0, 1, 2].map(
        (k) => [command.results[2 * k], command.results[2 * k + 1]] as [number, number],
      )
      expect(raw(...(results[0] as [number, number]))).toBe('{"a":[1]}')
      expect(results[1]).toEqual([-1, -1])
      expect(raw(...(results[2] as [number, number]))).toBe('"x"')
    }
    for (const rest of ['', ',"tokens":null,"results":null']) {
      expect(scan(`{"cmd":"ACKB","ids":[]${rest}}`)).toBe(null)
      expect([command.idCount, command.hasTokens, command.hasResults]).toEqual([0, false, false])
    }
  })

  it('refuses lists of ACKB that are wrong, too long, or of different lengths', () => {
    for (const wrong of [
      'null',
      '5',
      '["5"]',
      '[null]',
      '[-1]',
      '[1.5]',
      '[[5]]',
      '[9007199254740992]',
      '{}',
      '[1e2]',
    ]) {
      expect(scan(`{"cmd":"ACKB","ids":${wrong}}`), wrong).toBe(
        'Invalid: field "ids" must be an array of job ids',
      )
      expect(scan(`{"ids":${wrong},"cmd":"ACKB"}`), wrong).toBe(
        'Invalid: field "ids" must be an array of job ids',
      )
    }
    expect(scan('{"cmd":"ACKB","ids":[1,]}')).toContain('not a JSON object')
    expect(scan('{"cmd":"ACKB","ids":[01]}')).toContain('not a JSON object')
    expect(scan('{"cmd":"ACKB","ids":[nul]}')).toContain('not a JSON object')
    expect(scan('{"cmd":"ACKB","ids":[1],"tokens":["a"]}')).toBe(
      'Invalid: field "tokens" must be an array of tokens or null',
    )
    expect(scan('{"cmd":"ACKB","ids":[1],"results":{}}')).toBe(
      'Invalid: field "results" must be an array',
    )
    const list = (count: number): string => `[${Array.from({ length: count }, (_, n) => n).join()}]`
    expect(
      scan(`{"cmd":"ACKB","ids":${list(1000)},"tokens":${list(1000)},"results":${list(1000)}}`),
    ).toBe(null)
    expect(command.idCount).toBe(1000)
    expect(scan(`{"cmd":"ACKB","ids":${list(1001)}}`)).toBe(
      'Limit exceeded: ids in a batch (max 1000)',
    )
    for (const name of ['tokens', 'results']) {
      expect(code(`{"cmd":"ACKB","ids":[1],"${name}":${list(1001)}}`)).toBe('limit_exceeded')
      for (const other of ['[]', '[1,2]']) {
        const count = (JSON.parse(other) as number[]).length
        const text = `Invalid: field "${name}" has ${count} elements, "ids" has 1`
        expect(scan(`{"cmd":"ACKB","ids":[1],"${name}":${other}}`)).toBe(text)
        expect(scan(`{"${name}":${other},"ids":[1],"cmd":"ACKB"}`)).toBe(text)
      }
    }
  })

  it.each(['HEARTBEAT', 'RELEASE'])('reads one id or several for %s', (cmd) => {
    expect(scan(`{"cmd":"${cmd}","id":5,"token":7}`)).toBe(null)
    expect([command.hasId, command.id, command.token, command.hasTokens]).toEqual([
      true,
      5,
      7,
      true,
    ])
    expect([command.idCount, command.ids[0], command.tokens[0]]).toEqual([1, 5, 7])
    expect(scan(`{"cmd":"${cmd}","id":5}`)).toBe(null)
    expect([command.hasId, command.token, command.hasTokens]).toEqual([true, Number.NaN, false])
    expect(scan(`{"cmd":"${cmd}","ids":[5,6],"tokens":[null,8],"id":null}`)).toBe(null)
    expect([command.hasId, command.idCount, command.tokens[1], command.hasTokens]).toEqual([
      false,
      2,
      8,
      true,
    ])
    expect(scan(`{"cmd":"${cmd}"}`)).toBe('Invalid: missing field "id or ids"')
    expect(scan(`{"cmd":"${cmd}","id":5,"ids":[5]}`)).toBe(
      'Invalid: "id" and "ids" exclude each other',
    )
    for (const mixed of ['"id":5,"tokens":[1]', '"ids":[5],"token":1']) {
      expect(scan(`{"cmd":"${cmd}",${mixed}}`)).toBe(
        'Invalid: "token" goes with "id", and "tokens" with "ids"',
      )
    }
  })

  it('reads the lease of HEARTBEAT, and none of RELEASE', () => {
    expect(scan('{"cmd":"HEARTBEAT","id":5,"lease":1000}')).toBe(null)
    expect(command.leaseMs).toBe(1000)
    expect(scan('{"cmd":"RELEASE","id":5,"lease":1000}')).toBe(null)
    expect(command.leaseMs).toBe(0)
    expect(scan('{"cmd":"HEARTBEAT","id":5,"lease":86400001}')).toContain('the maximum is 86400000')
  })

  it('reads RETRYDLQ and PURGEDLQ with and without an id', () => {
    for (const cmd of ['RETRYDLQ', 'PURGEDLQ']) {
      expect(scan(`{"cmd":"${cmd}","queue":"q","id":3}`)).toBe(null)
      expect([command.hasId, command.id]).toEqual([true, 3])
      for (const rest of ['', ',"id":null']) {
        expect(scan(`{"cmd":"${cmd}","queue":"q"${rest}}`)).toBe(null)
        expect(command.hasId).toBe(false)
      }
    }
  })

  it('reads the events of SUBSCRIBE', () => {
    const all = Object.values(EventKind).reduce<number>((mask, bit) => mask | bit, 0)
    for (const [list, mask] of [
      ['["pushed"]', EventKind.pushed],
      ['[ "failed" , "c\\u006fmpleted" ]', EventKind.failed | EventKind.completed],
      ['["*"]', all],
      ['[]', 0],
    ] as const) {
      expect(scan(`{"cmd":"SUBSCRIBE","queue":"q","events":${list}}`)).toBe(null)
      expect(command.events).toBe(mask)
    }
    for (const wrong of ['["nothing"]', '["constructor"]', '[1]', '"pushed"', 'null']) {
      expect(scan(`{"cmd":"SUBSCRIBE","queue":"q","events":${wrong}}`)).toContain(
        'must be an array of event names',
      )
    }
  })

  it('reads CRON, CRONDELETE, limits and AUTH', () => {
    const cron = '{"cmd":"CRON","name":"tick","queue":"q","schedule":"*/5 * * * *","data":{"a":1}'
    expect(scan(`${cron},"priority":-3}`)).toBe(null)
    expect([command.name, command.queue, command.schedule, command.priority]).toEqual([
      'tick',
      'q',
      '*/5 * * * *',
      -3,
    ])
    expect(raw(command.dataFrom, command.dataTo)).toBe('{"a":1}')
    expect(scan(`${cron}}`)).toBe(null)
    expect(command.priority).toBe(0)
    expect(scan(`${cron},"priority":null}`)).toContain('"priority" must be')
    expect(scan('{"cmd":"CRON","name":"tick","queue":"q","schedule":"x"}')).toBe(
      'Invalid: missing field "data"',
    )
    expect(scan('{"cmd":"CRONDELETE","name":"tick"}')).toBe(null)
    expect(command.name).toBe('tick')
    for (const cmd of ['RATELIMIT', 'SETCONCURRENCY']) {
      expect(scan(`{"cmd":"${cmd}","queue":"q","limit":4294967295}`)).toBe(null)
      expect(command.limit).toBe(4294967295)
      expect(scan(`{"cmd":"${cmd}","queue":"q","limit":4294967296}`)).toContain(
        'the maximum is 4294967295',
      )
    }
    expect(scan('{"cmd":"AUTH","token":"a\\"b"}')).toBe(null)
    expect(command.secret).toBe('a"b')
    expect(scan('{"cmd":"AUTH","token":null}')).toBe('Invalid: field "token" must be a string')
  })
})
