import { describe, expect, it } from 'vitest'
import {
  flag,
  isRefusal,
  oneOf,
  readBody,
  readId,
  readQuery,
  schemaOf,
  text,
  uint,
} from '../../../../src/transports/http/fields.ts'

const fields = {
  count: uint({ description: 'how many', max: 10, default: 1 }),
  token: flag('shown'),
  state: oneOf('a state', ['a', 'b']),
  tag: text('a tag', 3),
}
const refused = (error: string) => ({ code: 'invalid', text: `Invalid: ${error}` })

describe('the fields of a query', () => {
  it('are read by their types; what is empty or unknown is as if absent', () => {
    const query = { count: '10', token: 'true', state: 'b', tag: 'x', more: '1', 'count[]': '5' }
    expect(readQuery(fields, query)).toEqual({ count: 10, token: true, state: 'b', tag: 'x' })
    expect(readQuery(fields, { count: '', tag: '' })).toEqual({})
  })

  it('are refused when they are something else (catalogue 65)', () => {
    const COUNT = 'query "count" must be an integer from 0 to 10'
    for (const count of ['11', '-1', '1.0', '1e1', '01', ' 1', '0x1', '9'.repeat(400), 'NaN']) {
      expect(readQuery(fields, { count }), count).toEqual(refused(COUNT))
    }
    expect(readQuery(fields, { count: ['1', '2'] })).toEqual(
      refused('query "count" is there twice'),
    )
    expect(readQuery(fields, { token: '1' })).toEqual(
      refused('query "token" must be true or false'),
    )
    expect(readQuery(fields, { state: 'toString' })).toEqual(
      refused('query "state" must be one of a, b'),
    )
    // How long a text may be, the command says.
    expect(readQuery(fields, { tag: 'four' })).toEqual({ tag: 'four' })
  })
})

describe('the fields of a body', () => {
  const read = (json: string) => readBody(fields, Buffer.from(json))

  it('are read by their types; null is as if absent', () => {
    expect(read('{"count":3,"token":false,"tag":"x","state":null,"more":1}')).toEqual({
      count: 3,
      token: false,
      tag: 'x',
    })
    expect(readBody(fields)).toEqual({})
  })

  it('are refused when they are something else', () => {
    for (const body of ['', '[]', 'null', '"x"', '{', '5']) {
      expect(read(body), body).toEqual(refused('the body is not a JSON object'))
    }
    expect(read('{"count":"3"}')).toEqual(refused('field "count" must be an integer from 0 to 10'))
    expect(read('{"count":1.5}')).toEqual(refused('field "count" must be an integer from 0 to 10'))
    expect(read('{"token":"true"}')).toEqual(refused('field "token" must be true or false'))
    expect(read('{"tag":[1]}')).toEqual(refused('field "tag" must be a string'))
  })

  it('are not those of the prototype', () => {
    expect(readBody({ toString: text('x', 9) }, Buffer.from('{}'))).toEqual({})
    expect(read('{"__proto__":{"count":3}}')).toEqual({})
  })
})

it('an id is digits, and not too many', () => {
  expect(readId('0')).toBe(0)
  expect(readId('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER)
  for (const bad of ['', '-1', '1.5', '1e3', '01', 'x', '9007199254740992', '%00', '1 ']) {
    expect(isRefusal(readId(bad)), bad).toBe(true)
  }
})

it('the schema says what the reading does', () => {
  expect(schemaOf(fields)).toEqual({
    type: 'object',
    properties: {
      count: { type: 'integer', description: 'how many', minimum: 0, maximum: 10, default: 1 },
      token: { type: 'boolean', description: 'shown' },
      state: { type: 'string', description: 'a state', enum: ['a', 'b'] },
      tag: { type: 'string', description: 'a tag', maxLength: 3 },
    },
  })
})
