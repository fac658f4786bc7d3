import { describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import {
  contextIn,
  readTraceContext,
  tagsOf,
  withTraceTags,
} from '../../../../src/transports/wire/trace-tags.ts'

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const context = { traceparent: PARENT, tracestate: null }
const bodyWith = (body: string): string => withTraceTags(Buffer.from(body), context).toString()

describe('traceparent', () => {
  it('is taken as the standard says', () => {
    expect(readTraceContext(PARENT, undefined)).toEqual(context)
    expect(readTraceContext(` ${PARENT} `, undefined)).toEqual(context)
    // A later version may say more; what is known of it is kept.
    expect(readTraceContext(`cc${PARENT.slice(2)}-more`, undefined)).toEqual(context)
  })

  it.each([
    ['nothing', undefined],
    ['a list', [PARENT]],
    ['an empty text', ''],
    ['a version that is none', `ff${PARENT.slice(2)}`],
    ['more than version 00 has', `${PARENT}-00`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['a span id of zeros', `00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`],
    ['capitals', PARENT.toUpperCase()],
    ['too few digits', PARENT.slice(0, -1)],
    ['a line break', `${PARENT}\r\nx`],
  ])('is as if absent when it is %s', (_, given) => {
    expect(readTraceContext(given, undefined)).toBeNull()
  })
})

describe('tracestate', () => {
  it('loses members from its end until it fits a tag', () => {
    const long = `b=${'y'.repeat(30)}`
    expect(readTraceContext(PARENT, `a=1, ${long} ,c=${'z'.repeat(30)}`)?.tracestate).toBe(
      `a=1,${long}`,
    )
    expect(readTraceContext(PARENT, `a=${'x'.repeat(60)}`)?.tracestate).toBeNull()
  })

  it('keeps only members that are some', () => {
    expect(readTraceContext(PARENT, 'A=1,b="q,k=v')?.tracestate).toBe('k=v')
    expect(readTraceContext(PARENT, 'k=\u0007')?.tracestate).toBeNull()
  })

  it('fits the bound of tags, with its prefix', () => {
    const state = readTraceContext(PARENT, `k=${'v'.repeat(51)}`)
    expect(state?.tracestate).toHaveLength(53)
    for (const tag of tagsOf({ ...context, tracestate: state?.tracestate ?? null })) {
      expect(Buffer.byteLength(tag)).toBeLessThanOrEqual(limits.tagBytesMax)
    }
  })
})

describe('a body with a trace context', () => {
  const tag = `"trace:${PARENT}"`

  it('gets tags of its own when it has none', () => {
    expect(bodyWith('{"data": {"a" :1}}')).toBe(`{"data": {"a" :1},"tags":[${tag}]}`)
    expect(bodyWith(' { "data":1 } \n')).toBe(` { "data":1 ,"tags":[${tag}]} \n`)
    expect(bodyWith('{}')).toBe(`{"tags":[${tag}]}`)
  })

  it('keeps its tags, wherever they are', () => {
    expect(bodyWith('{"data":1,"tags":["x", "y"]}')).toBe(`{"data":1,"tags":[${tag},"x", "y"]}`)
    expect(bodyWith('{"tags" : [ ] ,"data":1}')).toBe(`{"tags" : [${tag} ] ,"data":1}`)
  })

  it('is not misled by tags within its data', () => {
    const body = '{"data":{"tags":["no"],"s":"\\"tags\\":[1"}}'
    expect(bodyWith(body)).toBe(`${body.slice(0, -1)},"tags":[${tag}]}`)
    expect(bodyWith('{"data":{"tags":[]},"tags":["x"]}')).toBe(
      `{"data":{"tags":[]},"tags":[${tag},"x"]}`,
    )
  })

  it('is left to the scanner when it is no object', () => {
    for (const body of ['', '[]', 'x', '  ']) expect(bodyWith(body)).toBe(body)
  })

  it('stays valid JSON or stays invalid', () => {
    for (const body of ['{"tags"', '{"tags":', '{"data":1,"tags":3}', '{"data" 1,"tags":[]}']) {
      expect(() => JSON.parse(body.endsWith('3}') ? '{' : bodyWith(body)), body).toThrow()
    }
  })
})

describe('tags with a trace context', () => {
  it('give it back', () => {
    const both = { traceparent: PARENT, tracestate: 'a=1,b=2' }
    expect(contextIn(JSON.stringify(['x', ...tagsOf(both)]))).toEqual(both)
    expect(contextIn(JSON.stringify(tagsOf(context)))).toEqual(context)
  })

  it('without one, or with one that is not valid, give nothing', () => {
    expect(contextIn('[]')).toBeNull()
    expect(contextIn('["trace:nonsense"]')).toBeNull()
    expect(contextIn(`["xtrace:${PARENT}"]`)).toBeNull()
  })
})
