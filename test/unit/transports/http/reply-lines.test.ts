import { describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import {
  type Body,
  codeOf,
  countBody,
  countsBody,
  fieldsBody,
  flatJobBody,
  isOk,
  jobBody,
  progressBody,
  resultBody,
  valueBody,
} from '../../../../src/transports/http/reply-lines.ts'

const text = (body: Body): string => (typeof body === 'string' ? body : body.toString('latin1'))
const made = (make: (line: Buffer) => Body, line: string): string =>
  Buffer.from(text(make(Buffer.from(line))), 'latin1').toString()

describe('a reply line becomes a body', () => {
  const job = '{"id":5,"data":{"state":"x\\"}","n":12345678901234567890,"list":[{}]},"tags":[]}'

  it('with its value as data, byte for byte', () => {
    expect(made(valueBody, `{"ok":true,"jobs":[${job}]}`)).toBe(`{"ok":true,"data":[${job}]}`)
    expect(made(valueBody, '{"ok":true,"jobs":[],"cursor":"c"}')).toBe(
      '{"ok":true,"data":[],"cursor":"c"}',
    )
    expect(made(valueBody, '{"ok":true,"crons":[{"name":"é"}]}')).toBe(
      '{"ok":true,"data":[{"name":"é"}]}',
    )
  })

  it('with all of its fields as data', () => {
    expect(made(fieldsBody, '{"ok":true,"ids":[1],"errors":[]}')).toBe(
      '{"ok":true,"data":{"ids":[1],"errors":[]}}',
    )
  })

  it('with a count', () => {
    expect(made(countBody, '{"ok":true,"ids":[17]}')).toBe('{"ok":true,"data":17}')
    expect(made(countsBody, '{"ok":true,"ids":[2]}')).toBe('{"ok":true,"data":{"count":2}}')
    expect(made(countsBody, '{"ok":true,"ids":[0],"errors":[{"index":0}]}')).toBe(
      '{"ok":true,"data":{"count":0,"errors":[{"index":0}]}}',
    )
  })

  it('with a job alone, whatever its data look like', () => {
    const tricky = '{"id":5,"data":",\\"state\\":\\"","tags":[",\\"state\\":\\"x"]}'
    expect(made(jobBody, `{"ok":true,"job":${tricky},"state":"waiting"}`)).toBe(
      `{"ok":true,"data":${tricky}}`,
    )
  })

  it('with a job and what is beside it in one object', () => {
    const beside = '"state":"completed","result":{"a":[1,"}"]},"error":null,"finished_at":7'
    expect(made(flatJobBody, `{"ok":true,"job":${job},${beside}}`)).toBe(
      `{"ok":true,"data":${job.slice(0, -1)},${beside}}}`,
    )
    expect(made(flatJobBody, `{"ok":true,"job":null,${beside}}`)).toBe(
      `{"ok":true,"data":{${beside}}}`,
    )
    const slashes = '{"data":"\\\\","more":"\\\\\\"}"}'
    expect(made(flatJobBody, `{"ok":true,"job":${slashes},"state":"x"}`)).toBe(
      `{"ok":true,"data":${slashes.slice(0, -1)},"state":"x"}}`,
    )
  })

  it('with a result, or how far a job is', () => {
    expect(made(resultBody, '{"ok":true,"id":5,"result":{"a":1}}')).toBe(
      '{"ok":true,"data":{"a":1}}',
    )
    expect(made(resultBody, '{"ok":true,"id":5,"result":null}')).toBe('{"ok":true,"data":null}')
    const line = '{"ok":true,"progress":{"id":5,"progress":40,"message":"é\\n"}}'
    expect(made(progressBody, line)).toBe('{"ok":true,"data":[40,"é\\n"]}')
  })

  it('without the reqId that came in the body', () => {
    expect(made(valueBody, '{"ok":true,"reqId":7,"jobs":[1]}')).toBe('{"ok":true,"data":[1]}')
    expect(made(fieldsBody, '{"ok":true,"reqId":"a,\\"b","ids":[1]}')).toBe(
      '{"ok":true,"data":{"ids":[1]}}',
    )
    expect(made(flatJobBody, `{"ok":true,"reqId":"x","job":${job},"state":"x"}`)).toBe(
      `{"ok":true,"data":${job.slice(0, -1)},"state":"x"}}`,
    )
  })

  it('as a buffer when it is long', () => {
    const long = `{"ok":true,"jobs":["${'é'.repeat(limits.httpReplyBytesUnwatched)}"]}`
    const body = valueBody(Buffer.from(long))
    expect(Buffer.isBuffer(body)).toBe(true)
    expect(made(valueBody, long)).toBe(long.replace('jobs', 'data'))
  })

  it('and a refusal has its code', () => {
    const line = Buffer.from('{"ok":false,"error":"a \\",\\"code\\":\\"b","code":"invalid"}')
    expect(isOk(line)).toBe(false)
    expect(codeOf(line)).toBe('invalid')
    expect(isOk(Buffer.from('{"ok":true}'))).toBe(true)
  })
})
