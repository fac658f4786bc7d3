// Whatever bytes a client sends get their exact answer; then the same connection, the others and the same processes
// serve on. The numbers are those of the catalogue of bad inputs: 1–18 framing, 19–32 JSON; bad-fields.test.ts goes on.

import { describe, expect, it } from 'vitest'
import {
  badField,
  expectCalm,
  expectService,
  invalid,
  notJson,
  PUSHED,
  pushFrame,
  testRows,
  tooLong,
} from '../support/bad-input-rows.ts'
import { residentBytes, SharedServer } from '../support/shared-server.ts'
import { type WireClient, within } from '../support/wire-client.ts'

const MIB = 1024 * 1024
const EMPTY = invalid('empty line')
const NO_UTF8 = invalid('not valid UTF-8')
const TOO_DEEP = tooLong('nesting of a JSON value', 64)
const UINT = 'an integer from 0 to 2^53 - 1'
const STATS = { ok: true, queued: expect.any(Number) }

const server = new SharedServer()
expectCalm(server)

const data = (json: string): string => `{"cmd":"PUSH","queue":"bad-input","data":${json}}\n`
const bytes = (...parts: (string | number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string)))
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

describe('framing', () => {
  testRows(
    server,
    ['1 an empty line', '\n', EMPTY],
    ['2 nothing but returns', '\r\n\r\r\n', EMPTY, EMPTY],
    ['3 NUL bytes', '\0\0\0\n', notJson('byte 0', 0)],
    ['3 a NUL byte behind a good command', '{"cmd":"STATS"}\0\n', notJson('byte 0', 15)],
    ['4 invalid UTF-8', bytes([0xff, 0xfe], '\n'), NO_UTF8],
    [
      '4 invalid UTF-8 in data',
      bytes('{"cmd":"PUSH","queue":"q","data":"', [0xff], '"}\n'),
      NO_UTF8,
    ],
    [
      '5 overlong UTF-8',
      bytes('{"cmd":"PUSH","queue":"q","data":"', [0xc0, 0xaf], '"}\n'),
      NO_UTF8,
    ],
    [
      '5 an encoded surrogate',
      bytes('{"cmd":"PUSH","queue":"q","data":"', [0xed, 0xa0, 0x80], '"}\n'),
      NO_UTF8,
    ],
    ['6 a byte order mark', bytes([0xef, 0xbb, 0xbf], '{"cmd":"STATS"}\n'), notJson('byte 239', 0)],
    [
      '12 10,000 broken frames in one packet, and a good one behind them',
      `${'{"cmd":\n'.repeat(10_000)}{"cmd":"STATS"}\n`,
      ...Array.from({ length: 10_000 }, () => invalid('JSON ends too early, at position 7')),
      STATS,
    ],
    [
      '14 a request of HTTP',
      'POST / HTTP/1.1\r\nHost: x\r\n\r\n{"cmd":"STATS"}\n',
      notJson("'P'", 0),
      notJson("'H'", 0),
      EMPTY,
      STATS,
    ],
    ['15 a ClientHello of TLS', bytes([22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 0xb1], '\n'), NO_UTF8],
    ['16 two values on one line', '{"cmd":"STATS"}{"cmd":"STATS"}\n', notJson("'{'", 15)],
    ['16 two values on one line, a comma between', '{"cmd":"STATS"},{}\n', notJson("','", 15)],
    [
      '17 a lone return between two values',
      '{"cmd":"STATS"}\r{"cmd":"STATS"}\n',
      notJson("'{'", 16),
    ],
    ['17 a return where a blank may be', '{"cmd":\r"STATS"}\n', STATS],
    ['18 U+2028, which ends a line for nobody', data('"a\u2028b\u2029"'), PUSHED],
  )

  it('9 a frame of one byte at a time keeps nobody else waiting', async () => {
    const bystander = await server.client()
    const client = await server.client()
    for (const char of '{"cmd":"STATS"}\n') {
      client.lines.socket.write(char)
      await expectService(bystander)
    }
    expect(await client.answer()).toMatchObject(STATS)
  })

  it('10 half a frame at the end of input is refused, and the connection ends', async () => {
    const client = await server.client()
    client.lines.socket.end('{"cmd":"STATS"')
    const [code, error] = invalid('JSON ends too early, at position 14')
    expect(await client.answer()).toEqual({ ok: false, code, error })
    await within(5000, 'the connection ends', client.lines.closed)
    await expectService(await server.client())
  })

  it('11 a connection that is reset in the middle of a frame is forgotten', async () => {
    const bystander = await server.client()
    for (let n = 0; n < 20; n++) {
      const client = await server.client()
      client.lines.socket.write(`{"cmd":"PULL","queue":"reset"}\n${pushFrame('').slice(0, n + 1)}`)
      await expectService(bystander)
      client.lines.socket.resetAndDestroy()
    }
    const id = await bystander.push('reset', 1)
    expect((await bystander.pull('reset')).id).toBe(id)
  })
})

describe('framing at its limit', () => {
  const small = new SharedServer({ WORKERS: '1', FRAME_BYTES_MAX: `${2 * MIB}` })
  const frame = (size: number): string => `{"cmd":"STATS"${' '.repeat(size - 15)}}`
  const TOO_LARGE = {
    ok: false,
    error: 'Frame too large (max 2097152 bytes)',
    code: 'frame_too_large',
  }

  it('7 a frame of just the limit is run, its line end not counted', async () => {
    const client = await small.client()
    client.send(`${frame(2 * MIB)}\n${frame(2 * MIB)}\r\n`)
    for (const answer of await client.answers(2)) expect(answer).toMatchObject(STATS)
    await expectService(client)
  })

  it('7 one byte more is refused, what came before it is answered, and the connection ends', async () => {
    const bystander = await small.client()
    const client = await small.client()
    client.send(`{"cmd":"STATS"}\n${frame(2 * MIB + 1)}\n{"cmd":"STATS"}\n`)
    expect(await client.answer()).toMatchObject(STATS)
    expect(await client.answer()).toEqual(TOO_LARGE)
    expect(await client.lines.rests()).toEqual([])
    await expectService(bystander)
  })

  it('8 a line without end is cut off, and takes no more memory than a frame', async () => {
    const bystander = await small.client()
    const before = residentBytes(small.process)
    const clients = await small.clients(5)
    await Promise.all(clients.map((client) => writeUntilCut(client, 1024 * MIB)))
    for (const client of clients) {
      expect(await client.answer()).toEqual(TOO_LARGE)
      expect(await client.lines.rests()).toEqual([])
    }
    expect(residentBytes(small.process) - before).toBeLessThan(128 * MIB)
    await expectService(bystander)
    expect(small.process.log.filter(({ level }) => level === 'error')).toEqual([])
  })
})

/** No newline in it. Ends when the server has ended the connection. */
async function writeUntilCut(client: WireClient, bytesMax: number): Promise<void> {
  const { socket } = client.lines
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let over = false
  void client.lines.ended.then(() => {
    over = true
  })
  for (let sent = 0; !over; sent += chunk.length) {
    if (sent >= bytesMax) throw new Error(`${bytesMax} bytes were taken`)
    const written = new Promise<void>((resolve) => {
      socket.write(chunk, () => resolve())
    })
    await Promise.race([written, client.lines.ended, client.lines.closed])
    // A write that the kernel takes at once completes without a turn of the loop, in which the cut would be seen.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('JSON', () => {
  const nines = '9'.repeat(400)
  testRows(
    server,
    ['19 64 levels of nesting are allowed', data(nested(64)), PUSHED],
    ['19 65 levels', data(nested(65)), TOO_DEEP],
    ['19 5,000 levels', data(nested(5000)), TOO_DEEP],
    ['19 1,000,000 levels', data(nested(1_000_000)), TOO_DEEP],
    ['19 1,000,000 levels that never end', data('['.repeat(1_000_000)), TOO_DEEP],
    ['19 65 levels of objects', data(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`), TOO_DEEP],
    ['19 65 levels in a key that nobody knows', `{"x":${nested(65)},"cmd":"STATS"}\n`, TOO_DEEP],
    ['19 65 levels in a result', `{"cmd":"ACK","id":1,"result":${nested(65)}}\n`, TOO_DEEP],
    [
      '19 65 levels in a job of a batch',
      `{"cmd":"PUSHB","queue":"q","jobs":[{"data":1},{"data":${nested(65)}}]}\n`,
      TOO_DEEP,
    ],
    ['20 100,001 nodes', data(`[${'1,'.repeat(100_000)}1]`), PUSHED],
    ['21 `cmd` twice', '{"cmd":"STATS","cmd":"STATS"}\n', invalid('duplicate field "cmd"')],
    ['21 `data` twice', pushFrame(',"data":2'), invalid('duplicate field "data"')],
    [
      '21 `queue` twice, once in escapes',
      pushFrame(',"\\u0071ueue":"x"'),
      invalid('duplicate field "queue"'),
    ],
    ['21 an unknown key twice', pushFrame(',"x":1,"x":2'), PUSHED],
    ['21 a key twice in data', data('{"a":1,"a":2}'), PUSHED],
    [
      '22 `__proto__` and `constructor.prototype` beside the command',
      pushFrame(',"__proto__":{"priority":9},"constructor":{"prototype":{"cmd":"PAUSE"}}'),
      PUSHED,
    ],
    [
      '23 `toString`, `hasOwnProperty` and `then` as keys',
      pushFrame(',"toString":1,"hasOwnProperty":2,"then":3'),
      PUSHED,
    ],
    ['24 -0 as an id', '{"cmd":"GETSTATE","id":-0}\n', badField('id', UINT)],
    ['24 an id with leading zeros', '{"cmd":"GETSTATE","id":007}\n', notJson("'0'", 24)],
    [
      '24 a number of 400 digits as an id',
      `{"cmd":"GETSTATE","id":${nines}}\n`,
      badField('id', UINT),
    ],
    ['25 NaN', data('NaN'), notJson("'N'", 41)],
    ['25 -Infinity', data('-Infinity'), notJson("'I'", 42)],
    ['25 a hexadecimal number', data('0x10'), notJson("'x'", 42)],
    [
      '26 an escaped NUL in a queue name',
      pushFrame('', '"a\\u0000b"'),
      [
        'queue_name_invalid',
        'Queue name must contain only alphanumeric characters, underscores, hyphens, or dots',
      ],
    ],
    ['26 a NUL byte in a string', data('"\0"'), notJson('byte 0', 42)],
    ['27 half an escape', data('"\\ud8"'), notJson("'\"'", 46)],
    ['28 an array', '[{"cmd":"STATS"}]\n', notJson("'['", 0)],
    ['28 a string', '"STATS"\n', notJson("'\"'", 0)],
    ['28 null', 'null\n', notJson("'n'", 0)],
    ['28 an empty object', '{}\n', invalid('missing field "cmd"')],
    [
      '29 10 MB of one string',
      data(`"${'x'.repeat(10_000_000)}"`),
      ['data_too_large', 'Job data too large (10000002 bytes, max 1048576 bytes)'],
    ],
    ['30 60,000 keys beside the command', pushFrame(manyKeys(60_000)), PUSHED],
    ['30 60,000 keys in data', data(`{"a":1${manyKeys(60_000)}}`), PUSHED],
    ['31 a key of 1 MB beside the command', pushFrame(`,"${'k'.repeat(MIB)}":1`), PUSHED],
    ['32 a comment', '{"cmd":"STATS"/* */}\n', notJson("'/'", 14)],
    ['32 a trailing comma', '{"cmd":"STATS",}\n', notJson("'}'", 15)],
    ['32 single quotes', "{'cmd':'STATS'}\n", notJson("'''", 1)],
    ['32 no quotes', '{cmd:"STATS"}\n', notJson("'c'", 1)],
    ['32 a missing colon', '{"cmd" "STATS"}\n', notJson("'\"'", 7)],
  )

  it('22, 24, 26, 27 data comes back with every key, number and escape as it was sent', async () => {
    const client = await server.client()
    for (const json of [
      '{"__proto__":{"a":1},"constructor":{"prototype":{"__proto__":null}},"toString":1}',
      '[1e400,-1E400,-0,1e-400,9007199254740993,1.0]',
      '"\\u0000"',
      '"\\ud800 \\udc00\\ud800"',
      '{"":{"":""}}',
    ]) {
      await client.ok(`{"cmd":"PUSH","queue":"as-sent","data":${json}}\n`)
      client.send({ cmd: 'PULL', queue: 'as-sent' })
      expect(await client.line()).toContain(`"queue":"as-sent","data":${json},"priority":0`)
    }
  })
})

function manyKeys(count: number): string {
  return Array.from({ length: count }, (_, n) => `,"k${n}":0`).join('')
}
