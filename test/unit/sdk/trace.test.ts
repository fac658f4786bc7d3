import { describe, expect, it } from 'vitest'
import type { PushOptions } from '../../../sdk/typescript/src/job.ts'
import { acceptedJob, jobFieldsText } from '../../../sdk/typescript/src/job-text.ts'
import { traceOf } from '../../../sdk/typescript/src/trace.ts'
import { readTraceContext, tagsOf } from '../../../src/transports/wire/trace-tags.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const good = `00-${TRACE}-${SPAN}-01`

const parents = [
  good,
  ` ${good}\t`,
  `00-${TRACE}-${SPAN}-00`,
  `cc-${TRACE}-${SPAN}-01-more`,
  `00-${TRACE}-${SPAN}-01-more`,
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  'nonsense',
  '',
  7,
]
const states = [
  'vendor=opaque',
  ' a=1 , b=2 ',
  'a="q"',
  `a=1,long=${'x'.repeat(60)},b=2`,
  `a=${'x'.repeat(51)}`,
  `a=${'x'.repeat(52)}`,
  ',,',
  '',
  undefined,
]

describe("a job's trace context", () => {
  it('is what the server makes of the same headers', () => {
    for (const traceparent of parents) {
      for (const tracestate of states) {
        const options = { traceparent, tracestate } as PushOptions
        const served = readTraceContext(traceparent, tracestate)
        const { tags } = JSON.parse(`{${jobFieldsText(1, options)}}`)
        expect(tags, String([traceparent, tracestate])).toEqual(
          served === null ? undefined : tagsOf(served),
        )
        const { traceparent: parent, tracestate: state } = traceOf(options)
        expect([parent ?? null, state ?? null]).toEqual([
          served?.traceparent ?? null,
          served?.tracestate ?? null,
        ])
      }
    }
  })

  it('stands before the tags that are given, and in the job that is handed back', () => {
    const options = { traceparent: good, tracestate: 'a=1', tags: ['x'] }
    const tags = [`trace:${good}`, 'tracestate:a=1', 'x']
    expect(JSON.parse(`{${jobFieldsText(1, options)}}`)).toEqual({ data: 1, tags })
    expect(acceptedJob(7, 'q', 1, options, 0)).toMatchObject({
      tags,
      traceparent: good,
      tracestate: 'a=1',
    })
    const plain = acceptedJob(7, 'q', 1, { tags: ['x'], tracestate: 'a=1' }, 0)
    expect(plain.tags).toEqual(['x'])
    expect(plain).not.toHaveProperty('traceparent')
    expect(plain).not.toHaveProperty('tracestate')
  })
})
