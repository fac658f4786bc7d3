// What comes to the HTTP door and must not: each has its exact answer, and a good request is served afterwards.
// The numbers are those of the catalogue of bad inputs: 56–72. (60: http-door.test.ts; 64–65 also in the unit tests.)

import { afterEach, describe, expect, it } from 'vitest'
import { HttpClient, RawHttp, readRaw } from '../support/http-client.ts'
import { SharedServer } from '../support/shared-server.ts'

const server = new SharedServer({
  HTTP: '1',
  HTTP_PORT: '0',
  CORS_ORIGINS: 'https://good.example',
})
const client = (): HttpClient => new HttpClient(server.process.httpPort)
const raw = (): RawHttp => new RawHttp(server.process.httpPort)
const refusal = (code: string, error: string) => ({ ok: false, error, code })
const BAD = refusal('bad_request', 'Not a request of HTTP/1.1')
const JSON_BODY = 'Content-Type: application/json\r\n'

/** What a raw request is answered with, whose connection is closed. */
async function answerTo(text: string) {
  return readRaw(await raw().send(text).closed())
}

afterEach(async () => {
  expect((await client().get('/stats')).json.ok).toBe(true)
  expect(server.process.log.filter(({ level }) => level === 'error')).toEqual([])
})

describe('56 what is no request', () => {
  const post = (headers: string, body = '{"data":1}') =>
    `POST /queues/q/jobs HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}${headers}\r\n${body}`

  for (const [what, text] of [
    ['both lengths', post('Content-Length: 10\r\nTransfer-Encoding: chunked\r\n')],
    ['two lengths', post('Content-Length: 10\r\nContent-Length: 11\r\n')],
    ['TE: xchunked', post('Transfer-Encoding: xchunked\r\n')],
    ['TE: chunked, identity', post('Transfer-Encoding: chunked, identity\r\n')],
    ['a blank before the colon', post('Content-Length : 10\r\n')],
    ['a folded header', post('X-A: 1\r\n 2\r\n')],
    ['a length below 0', post('Content-Length: -1\r\n')],
    ['a bare line feed', 'GET /stats HTTP/1.1\nHost: localhost\n\n'],
    ['no HTTP at all', '{"cmd":"STATS"}\n'],
    ['a ClientHello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['NUL in a header', 'GET /stats HTTP/1.1\r\nHost: localhost\r\nX-A: a\0b\r\n\r\n'],
    ['HTTP/9.9', 'GET /stats HTTP/9.9\r\nHost: localhost\r\n\r\n'],
  ] as const) {
    it(`is refused: ${what}`, async () => {
      const { status, head, json } = await answerTo(text)
      expect(status).toBe(400)
      expect(head).toContain('connection: close')
      expect(json).toEqual(BAD)
    })
  }
})

describe('57 the host', () => {
  for (const [what, text] of [
    ['two Host headers', 'GET /stats HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n'],
    ['no Host', 'GET /stats HTTP/1.1\r\n\r\n'],
    ['no Host in HTTP/1.0', 'GET /stats HTTP/1.0\r\n\r\n'],
  ] as const) {
    it(`is there once: ${what}`, async () => {
      const { status, json } = await answerTo(text)
      expect(status).toBe(400)
      expect(json).toEqual(refusal('bad_request', 'There must be exactly one Host header'))
    })
  }

  it('is not in the target', async () => {
    for (const target of ['http://localhost/stats', 'http://evil.example/', '*', 'stats']) {
      const { status, json } = await answerTo(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      expect(status, target).toBe(400)
      expect(json.code, target).toBe('bad_request')
    }
  })

  it('70 is one of ours', async () => {
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io', '']) {
      const { status, json } = await answerTo(`GET /stats HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      expect(status, host).toBe(421)
      expect(json.code, host).toBe('host_refused')
    }
  })
})

describe('58 headers', () => {
  it('of more than 16 KiB are refused', async () => {
    const { status, json } = await answerTo(
      `GET /stats HTTP/1.1\r\nHost: localhost\r\nX-A: ${'a'.repeat(17 * 1024)}\r\n\r\n`,
    )
    expect(status).toBe(431)
    expect(json).toEqual(refusal('headers_too_large', 'Headers too large'))
  })

  it('may be 100, not 101', async () => {
    const request = (count: number) =>
      `GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${Array.from({ length: count - 2 }, (_, n) => `X-${n}: 1\r\n`).join('')}\r\n`
    expect((await answerTo(request(100))).status).toBe(200)
    const { status, json } = await answerTo(request(101))
    expect(status).toBe(431)
    expect(json).toEqual(refusal('headers_too_large', 'Too many headers (max 100)'))
  })
})

describe('59 methods', () => {
  const ALLOWED = refusal('method_not_allowed', 'Method not allowed')

  it('that no route has are refused', async () => {
    for (const method of ['TRACE', 'PROPFIND', 'OPTIONS', 'LINK']) {
      const { status, head, json } = await answerTo(
        `${method} /stats HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      )
      expect(status, method).toBe(405)
      expect(head, method).toContain('allow: get, post, patch, delete')
      expect(json, method).toEqual(ALLOWED)
    }
    const { status, json } = await answerTo('CONNECT localhost:80 HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(status).toBe(405)
    expect(json).toEqual(ALLOWED)
  })

  it('that this path does not have are refused, and the others told', async () => {
    for (const [method, path, allow] of [
      ['PUT', '/stats', 'GET'],
      ['HEAD', '/queues/q/jobs', 'GET, POST'],
      ['PATCH', '/queues/q/jobs?count=1', 'GET, POST'],
      ['GET', '/queues/q/pause', 'POST'],
      ['POST', '/queues/q', 'DELETE'],
      ['POST', '/health', 'GET, HEAD'],
    ] as const) {
      const answer = await client().ask(method, path)
      expect(answer.status, path).toBe(405)
      expect(answer.headers.allow, path).toBe(allow)
      if (method !== 'HEAD') expect(answer.json, path).toEqual(ALLOWED)
    }
  })

  it('in a header are not looked at', async () => {
    const answer = await client().get('/queues', {
      headers: { 'X-HTTP-Method-Override': 'DELETE' },
    })
    expect(answer.json).toMatchObject({ ok: true })
  })
})

describe('61 content types', () => {
  const TYPE = refusal('unsupported_media_type', 'The body must be application/json in UTF-8')
  const body = '{"data":1}'

  it('other than JSON in UTF-8 are refused', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json; charset=utf-7',
      'application/jsonp',
      'text/json',
      'application/json, text/plain',
      'garbage',
      '',
    ]) {
      const answer = await client().post('/queues/q61/jobs', body, {
        headers: { 'content-type': type },
      })
      expect(answer.status, type).toBe(415)
      expect(answer.json, type).toEqual(TYPE)
    }
    const none = await answerTo(
      `POST /queues/q61/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 10\r\n\r\n${body}`,
    )
    expect(none.status).toBe(415)
    expect(none.json).toEqual(TYPE)
  })

  it('that are JSON in UTF-8 are taken, however they are written', async () => {
    for (const type of [
      'application/json',
      'APPLICATION/JSON',
      'application/json;charset=UTF-8',
      'application/json; charset="utf-8"',
      'application/vnd.flashq+json',
    ]) {
      const answer = await client().post('/queues/q61/jobs', body, {
        headers: { 'content-type': type },
      })
      expect(answer.status, type).toBe(200)
    }
  })

  it('71 a form that carries JSON pushes nothing', async () => {
    const http = client()
    const answer = await http.post('/queues/q71/jobs', `${body}=`, {
      headers: { 'content-type': 'text/plain', origin: 'https://evil.example' },
    })
    expect(answer.status).toBe(403)
    expect((await http.get('/queues/q71/jobs?timeout=0')).json.data).toEqual([])
  })

  it('62 bodies that are packed are refused', async () => {
    for (const encoding of ['gzip', 'br', 'deflate', 'gzip, gzip', 'x']) {
      const answer = await client().post('/queues/q62/jobs', Buffer.from([0x1f, 0x8b, 0x08]), {
        headers: { 'content-encoding': encoding },
      })
      expect(answer.status, encoding).toBe(415)
      expect(answer.json.code, encoding).toBe('unsupported_media_type')
    }
    const plain = { headers: { 'content-encoding': 'identity' } }
    expect((await client().post('/queues/q62/jobs', body, plain)).status).toBe(200)
  })
})

describe('bodies', () => {
  it('that are too long are refused, announced or not', async () => {
    const TOO_LARGE = refusal('frame_too_large', 'Frame too large (max 2097152 bytes)')
    const announced = await answerTo(
      `POST /queues/q/jobs HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}Content-Length: 2097153\r\n\r\n{`,
    )
    expect(announced.status).toBe(413)
    expect(announced.json).toEqual(TOO_LARGE)
    const chunk = `${(64 * 1024).toString(16)}\r\n${' '.repeat(64 * 1024)}\r\n`
    const chunked = await answerTo(
      `POST /queues/q/jobs HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(33)}`,
    )
    expect(chunked.status).toBe(413)
    expect(chunked.json).toEqual(TOO_LARGE)
  })

  it('are read by the scanner of the line protocol: the same words for the same mistakes', async () => {
    for (const [body, status, error] of [
      ['', 400, 'Invalid: the body is not a JSON object'],
      ['[]', 400, 'Invalid: the body is not a JSON object'],
      ['{"data":1', 400, 'Invalid: the body is not a JSON object'],
      ['{"data":1}}', 400, undefined],
      ['{"data":1},{"b":2}', 400, undefined],
      ['{"data":}', 400, undefined],
      ['{}', 400, 'Invalid: missing field "data"'],
      ['{"data":1,"data":2}', 400, 'Invalid: duplicate field "data"'],
      ['{"data":1,"cmd":"CANCEL"}', 400, 'Invalid: duplicate field "cmd"'],
      ['{"data":1,"c\\u006dd":"CANCEL"}', 400, 'Invalid: duplicate field "cmd"'],
      ['{"data":1,"queue":"other"}', 400, 'Invalid: duplicate field "queue"'],
      ['{"data":1,"priority":"1"}', 400, undefined],
      [`{"data":${'['.repeat(65)}${']'.repeat(65)}}`, 400, undefined],
      [`{"data":"${'x'.repeat(1_048_575)}"}`, 413, undefined],
    ] as const) {
      const answer = await client().post('/queues/words/jobs', body)
      const shown = body.slice(0, 60)
      expect(answer.status, shown).toBe(status)
      expect(answer.json.ok, shown).toBe(false)
      if (error !== undefined) expect(answer.json.error, shown).toBe(error)
    }
    expect((await client().get('/queues/words/jobs?timeout=0')).json.data).toEqual([])
  })
})

it('63 a flood of Expect: 100-continue is served, and other expectations are not', async () => {
  const one = `POST /queues/q63/jobs HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n{"data":1}`
  const text = await raw().send(one.repeat(100)).answer('HTTP/1.1 200', 100)
  expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(100)
  const other = await answerTo(`GET /stats HTTP/1.1\r\nHost: localhost\r\nExpect: dinner\r\n\r\n`)
  expect(other).toMatchObject({ status: 417, json: { ok: false, code: 'expectation_failed' } })
})

describe('64 paths', () => {
  it('that are no path of ours have no route', async () => {
    for (const path of ['//', '//stats', '/stats/', '/Stats', '/queues/..%2f/x', '/.git/config']) {
      expect((await client().get(path)).json, path).toEqual(refusal('not_found', 'No such route'))
    }
  })

  it('with names that are none are refused', async () => {
    for (const [name, code] of [
      ['..%2fx', 'queue_name_invalid'],
      ['a%00b', 'queue_name_invalid'],
      ['a%2Fb', 'queue_name_invalid'],
      ['%20', 'queue_name_invalid'],
      ['%E2%80%8F', 'queue_name_invalid'],
      [`${'q'.repeat(257)}`, 'queue_name_invalid'],
      ['%', 'bad_request'],
      ['%ff', 'bad_request'],
      ['%zz', 'bad_request'],
      [`${'q'.repeat(2049)}`, 'bad_request'],
    ] as const) {
      const answer = await client().post(`/queues/${name}/jobs`, { data: 1 })
      expect(answer.status, name).toBe(400)
      expect(answer.json.code, name).toBe(code)
    }
    for (const id of ['x', '-1', '1.5', '9007199254740992', '%31%00', '1e3']) {
      expect(await client().get(`/jobs/${id}`), id).toMatchObject({
        status: 400,
        json: refusal('invalid', 'Invalid: a job id is an integer from 0 to 2^53 - 1'),
      })
    }
  })
})

it('65 a query that says a thing twice, or too much of it, is refused', async () => {
  for (const [query, error] of [
    ['limit=1&limit=2', 'Invalid: query "limit" is there twice'],
    ['limit=1000000000', 'Invalid: query "limit" must be an integer from 0 to 1000'],
    ['limit=1e9', 'Invalid: query "limit" must be an integer from 0 to 1000'],
    ['offset=100001', 'Invalid: query "offset" must be an integer from 0 to 100000'],
  ] as const) {
    const answer = await client().get(`/jobs?${query}`)
    expect(answer.status, query).toBe(400)
    expect(answer.json, query).toEqual(refusal('invalid', error))
  }
  expect((await client().get('/jobs?limit[]=5&__proto__=1&constructor[a]=1')).status).toBe(200)
  expect((await client().get('/queues/q/jobs?timeout=60001')).status).toBe(400)
})

it('a client that goes away in the middle of its body leaves everything as it was', async () => {
  const socket = raw()
  const begin = `POST /queues/gone/jobs HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}`
  socket.send(`${begin}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n`)
  await socket.answer('HTTP/1.1 100')
  socket.send('{"da').socket.destroy()
  expect((await client().get('/queues/gone/jobs?timeout=0')).json.data).toEqual([])
})

it('10 half a request at the end of input is refused, and nothing is pushed', async () => {
  const half = `POST /queues/half/jobs HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}Content-Length: 10\r\n\r\n{"da`
  for (const text of [half, half.slice(0, 40)]) {
    const socket = raw()
    socket.send(text).socket.end()
    const { status, json } = readRaw(await socket.closed())
    expect(status).toBe(400)
    expect(json).toEqual(BAD)
  }
  expect((await client().get('/queues/half/jobs?timeout=0')).json.data).toEqual([])
})

it('66 line breaks in what is named do not come back in headers', async () => {
  for (const path of ['/queues/a%0d%0aSet-Cookie:x=1/jobs', '/x%0d%0aSet-Cookie:x=1']) {
    const answer = await client().post(path, { data: 1 })
    expect(answer.status, path).toBeGreaterThanOrEqual(400)
    expect(answer.headers['set-cookie'], path).toBeUndefined()
  }
})

it('68 ten thousand requests in one go are all answered, in order', async () => {
  const socket = raw()
  const job = (n: number) => {
    const body = `{"data":${n}}`
    return `POST /queues/q68/jobs HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}Content-Length: ${body.length}\r\n\r\n${body}`
  }
  socket.send(Array.from({ length: 10_000 }, (_, n) => job(n)).join(''))
  const text = await socket.answer('{"ok":true', 10_000)
  const order = [...text.matchAll(/"data":(\d+),"priority"/g)].map(([, n]) => Number(n))
  expect(order).toEqual(Array.from({ length: 10_000 }, (_, n) => n))
})

it('68 pulls that wait behind one another are a few at most', async () => {
  const socket = raw()
  // All in one packet, so that all are there before the first of them is over.
  socket.send('GET /queues/q68w/jobs?timeout=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(5))
  const text = await socket.answer('HTTP/1.1', 5)
  expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(4)
  expect(text).toMatch(/HTTP\/1\.1 429[\s\S]*retry-after: 1[\s\S]*"code":"too_many_waiting"/)
})

describe('pages of a browser', () => {
  const evil = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'https://good.example.evil.example' },
    { origin: 'HTTPS://GOOD.EXAMPLE' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ]

  it('69 of other origins may not ask for anything', async () => {
    for (const headers of evil) {
      for (const [method, path] of [
        ['POST', '/server/shutdown'],
        ['GET', '/queues/q/jobs?timeout=0'],
        ['GET', '/stats'],
        ['DELETE', '/queues/q'],
        ['GET', '/nothing'],
      ] as const) {
        const answer = await client().ask(method, path, { headers })
        const shown = `${JSON.stringify(headers)} ${path}`
        expect(answer.status, shown).toBe(403)
        expect(answer.json.code, shown).toBe('origin_refused')
        expect(answer.headers, shown).not.toHaveProperty('access-control-allow-origin')
      }
      expect((await client().get('/health', { headers })).status).toBe(200)
    }
  })

  it('of CORS_ORIGINS may, and so may our own', async () => {
    const good = await client().get('/stats', { headers: { origin: 'https://good.example' } })
    expect(good.status).toBe(200)
    expect(good.headers['access-control-allow-origin']).toBe('https://good.example')
    const { httpPort } = server.process
    const own = await client().post('/queues/own/pause', undefined, {
      headers: { origin: `http://127.0.0.1:${httpPort}`, 'sec-fetch-site': 'same-origin' },
    })
    expect(own.status).toBe(200)
    expect(own.headers).not.toHaveProperty('access-control-allow-origin')
  })

  it('72 are told beforehand', async () => {
    const preflight = (origin: string) =>
      client().ask('OPTIONS', '/queues/q/jobs', {
        headers: { origin, 'access-control-request-method': 'POST' },
      })
    const good = await preflight('https://good.example')
    expect(good.status).toBe(204)
    expect(good.text).toBe('')
    expect(good.headers).toMatchObject({
      'access-control-allow-origin': 'https://good.example',
      'access-control-allow-methods': 'GET, POST, PATCH, DELETE',
      'access-control-allow-headers':
        'authorization, content-type, last-event-id, traceparent, tracestate',
      vary: 'origin',
    })
    const bad = await preflight('https://evil.example')
    expect(bad.status).toBe(403)
    expect(bad.json.code).toBe('origin_refused')
    expect(bad.headers).not.toHaveProperty('access-control-allow-origin')
  })
})
