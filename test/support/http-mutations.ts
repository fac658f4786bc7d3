// Requests as no client sends them: real ones of the HTTP door, with something about them changed, by chance that can be
// repeated. Bytes as strings, a character for each.

import type { Random } from '../chaos/random.ts'

const REAL = [
  ['POST', '/queues/fuzz/jobs', '{"data":{"n":1},"priority":3,"delay":0,"tags":["a","b"]}'],
  ['POST', '/queues/fuzz/jobs/batch', '{"jobs":[{"data":1},{"data":2,"max_attempts":2}]}'],
  ['POST', '/queues/fuzz/pull', '{"count":2,"timeout":0,"lease":1000}'],
  ['GET', '/queues/fuzz/jobs?count=1&timeout=0', ''],
  ['GET', '/jobs?queue=fuzz&state=waiting&limit=10&offset=0', ''],
  ['GET', '/jobs/1', ''],
  ['POST', '/jobs/1/ack', '{"result":{"sum":1.5}}'],
  ['POST', '/jobs/1/fail', '{"error":"bad"}'],
  ['POST', '/jobs/1/progress', '{"progress":50,"message":"half"}'],
  ['POST', '/jobs/1/logs', '{"line":"seen"}'],
  ['POST', '/queues/fuzz/rate-limit', '{"limit":100000}'],
  ['DELETE', '/queues/fuzz/rate-limit', ''],
  ['GET', '/queues/fuzz/dlq?count=5', ''],
  ['POST', '/crons/fuzz', '{"queue":"fuzz","schedule":"0 0 1 1 *","data":1}'],
  ['DELETE', '/crons/fuzz', ''],
  ['POST', '/webhooks/incoming/fuzz', '{"a":1}'],
  ['GET', '/queues', ''],
  ['GET', '/stats', ''],
] as const

const METHODS = [
  'PUT',
  'PATCH',
  'TRACE',
  'OPTIONS',
  'CONNECT',
  'LINK',
  'get',
  'GETS',
  'PRI',
  '',
  'Ä',
]
const PATH_PARTS = [
  ...['%', '%z', '%zz', '%ff', '%c0%af', '%00', '%2e%2e', '%2F', '%25', '%e2%80%8f', '%0d%0aX:1'],
  ...['..', '.', '', '*', '?', '#', '\\', ';a=1', '[', '{', '|', '"', '\xff', '\x7f', '__proto__'],
  ...['q'.repeat(300), '%41'.repeat(700), '9'.repeat(40), '-1', '1e3', '0x1'],
]
const NUMBERS = [
  ...['-1', '1e999', '-0', '0.5', 'NaN', '1e3', '9007199254740993', '18446744073709551616'],
  ...['9'.repeat(400), 'null', '', '"1"', '[]', '{}', 'true', '00', '+1', ' 1'],
]
const QUERIES = [
  'count',
  'timeout',
  'lease',
  'token',
  'limit',
  'offset',
  'cursor',
  'state',
  'queue',
  'types',
  'queues',
  'lastEventId',
  '__proto__',
  'a[b]',
  '',
]
const TYPES = [
  'text/plain',
  'application/jsonp',
  'application/json; charset=utf-7',
  '*/*',
  '',
  ';',
  'application/json,',
  '\xff',
  'multipart/form-data; boundary=-',
  'APPLICATION/JSON;charset=UTF-8',
]
const HEADERS = [
  ...['Host: localhost', 'Host:', 'Content-Length: 5', 'Content-Length: -1', 'Content-Length: 0x5'],
  ...[
    'Content-Length: 99999999999999999999',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: gzip',
  ],
  ...['Transfer-Encoding: chunked, chunked', 'Transfer-Encoding : chunked', 'Content-Encoding: br'],
  ...[
    'Connection: upgrade',
    'Upgrade: h2c',
    'Upgrade: websocket',
    'Connection: \x00',
    'Expect: dinner',
  ],
  ...[
    'Expect: 100-continue',
    'Range: bytes=0-1',
    'Origin: null',
    'Origin: http://[',
    'X: \x01',
    ': x',
    'X',
  ],
  ...[
    ' folded',
    'Authorization: Bearer',
    'Authorization: \xff',
    'Cookie: a=b',
    `X: ${'x'.repeat(17_000)}`,
  ],
  ...['Content-Type: text/plain', 'Sec-Fetch-Site: cross-site', 'TE: trailers', 'Forwarded: for=x'],
]
const JSON_TYPE = 'Content-Type: application/json'

/** The bytes of one connection: mostly one request, now and then more. */
export function mutatedRequest(random: Random): string {
  if (random.chance(0.08)) return randomBytes(random, random.between(1, 400))
  const count = random.chance(0.2) ? random.between(2, 4) : 1
  let text = ''
  for (let n = 0; n < count; n++) text += request(random)
  return random.chance(0.3) ? damaged(random, text) : text
}

/** A query of `/events`: parameters that are known and others, given again, odd, cut off. */
export function mutatedQuery(random: Random): string {
  const values = [
    'pushed',
    'pushed,failed',
    'a,b',
    ',',
    'no such',
    '%ff',
    '%00',
    '%',
    '\xff',
    'q'.repeat(300),
    'a,'.repeat(150),
    '0.1.1',
    ...NUMBERS,
    ...PATH_PARTS,
  ]
  const names = ['types', 'queues', 'lastEventId', 'types', ...QUERIES]
  const pairs = Array.from({ length: random.between(0, 4) }, () => {
    const joint = random.pick(['=', '=', '=', '', '==', '[]='])
    return `${random.pick(names)}${joint}${random.pick(values).replaceAll(' ', '+')}`
  })
  return pairs.join(random.pick(['&', '&', '&&', ';']))
}

function request(random: Random): string {
  const [realMethod, realPath, realBody] = random.pick(REAL)
  const method = random.chance(0.12) ? random.pick(METHODS) : realMethod
  const body = random.chance(0.4) ? oddJson(random, realBody) : realBody
  const lines = ['Host: localhost']
  if (body !== '')
    lines.push(random.chance(0.12) ? `Content-Type: ${random.pick(TYPES)}` : JSON_TYPE)
  let sent = body
  if (random.chance(0.25)) {
    lines.push('Transfer-Encoding: chunked')
    sent = chunked(random, body)
  } else if (body !== '' || random.chance(0.1))
    lines.push(`Content-Length: ${lengthOf(random, body)}`)
  for (let n = random.chance(0.4) ? random.between(1, 3) : 0; n > 0; n--) {
    lines.splice(random.below(lines.length + 1), 0, random.pick(HEADERS))
  }
  if (random.chance(0.05)) lines.shift()
  const version = random.chance(0.04) ? random.pick(['1.0', '2.0', '0.9', '1.2', '']) : '1.1'
  const target = random.chance(0.4) ? oddPath(random, realPath) : realPath
  return `${method} ${target} HTTP/${version}\r\n${lines.join('\r\n')}\r\n\r\n${sent}`
}

function lengthOf(random: Random, body: string): string {
  if (random.chance(0.85)) return String(body.length)
  return random.pick([...NUMBERS, String(body.length + 1), String(Math.max(0, body.length - 1))])
}

function oddPath(random: Random, path: string): string {
  if (random.chance(0.3)) {
    const pair = `${random.pick(QUERIES)}=${random.pick(NUMBERS).replaceAll(' ', '+')}`
    return `${path}${path.includes('?') ? '&' : '?'}${pair}`
  }
  const parts = path.split('/')
  parts[random.between(1, parts.length - 1)] = random.pick(PATH_PARTS)
  return random.chance(0.1) ? `http://localhost${parts.join('/')}` : parts.join('/')
}

function oddJson(random: Random, body: string): string {
  const way = random.below(5)
  if (way === 0) return body.slice(0, random.below(body.length + 1))
  if (way === 1) return body.replace(/\d+/, () => random.pick(NUMBERS))
  if (way === 2) return `${'['.repeat(random.between(1, 200))}${body}`
  if (way === 3) return body.replace('{', '{"cmd":"DRAIN","queue":"x","__proto__":{},')
  return damaged(random, body)
}

/** In pieces; one in three is broken off or broken. */
function chunked(random: Random, body: string): string {
  const middle = random.below(body.length + 1)
  const pieces = [body.slice(0, middle), body.slice(middle)].filter((piece) => piece !== '')
  const whole = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')
  if (random.chance(0.66)) return `${whole}0\r\n\r\n`
  const ends = [
    '',
    '0',
    '0\r\n',
    'zz\r\n',
    'ffffffffffffffffff\r\n',
    '5;x="\r\n',
    '-1\r\n',
    '0\r\nX: 1\r\n\r\n',
    '3\r\nabcd\r\n',
  ]
  return whole + random.pick(ends)
}

/** One to three places are changed, taken out, doubled, or all that follows is cut off. */
function damaged(random: Random, text: string): string {
  let to = text
  for (let n = random.between(1, 3); n > 0; n--) {
    const at = random.below(to.length + 1)
    const before = to.slice(0, at)
    const length = random.between(1, 8)
    const way = random.below(5)
    if (way === 0) to = before + randomBytes(random, length) + to.slice(at + length)
    else if (way === 1) to = before + to.slice(at + length)
    else if (way === 2) to = before + to.slice(Math.max(0, at - length))
    else if (way === 3) to = before + randomBytes(random, length) + to.slice(at)
    else to = random.chance(0.5) ? before : to
  }
  return to
}

function randomBytes(random: Random, length: number): string {
  return String.fromCharCode(...Array.from({ length }, () => random.below(256)))
}
