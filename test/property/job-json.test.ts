// A list of jobs is the jobs one by one, however much of it was copied from neighbours.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteWriter } from '../../src/engine/byte-writer.ts'
import { writeJob, writeJobs } from '../../src/transports/wire/job-json.ts'
import { FakeJobSource, type JobSpec } from '../support/job-source.ts'

/** Mostly like its neighbours, sometimes not. */
const spec = (): fc.Arbitrary<JobSpec> =>
  fc.record(
    {
      data: fc.oneof(
        { weight: 6, arbitrary: fc.constant('{"a":1}') },
        { weight: 2, arbitrary: fc.string({ maxLength: 400 }).map((text) => JSON.stringify(text)) },
      ),
      queue: rarely(fc.constantFrom('other', 'third')),
      priority: rarely(fc.integer({ min: -3, max: 3 })),
      attempts: rarely(fc.integer({ min: 0, max: 3 })),
      ttl: rarely(fc.constant(5000)),
      progress: rarely(fc.integer({ min: 1, max: 100 })),
      rare: rarely(fc.constant({ uniqueKey: 'k', tags: '["t"]' })),
    },
    { requiredKeys: ['data'] },
  ) as fc.Arbitrary<JobSpec>

function rarely<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: arbitrary },
  )
}

/** Short ids, ids at the end of a page, and ids that gain a digit on the way. */
const firstSeq = fc.constantFrom(1, 4090, 3120, 231_692_099_584, 312_499_990, 3_124_999_999_990)

describe('a list of jobs', () => {
  it('is what its jobs are one by one', () => {
    fc.assert(
      fc.property(firstSeq, fc.array(spec(), { minLength: 1, maxLength: 60 }), (first, specs) => {
        const source = new FakeJobSource(first)
        const seqs = specs.map((each) => source.add(JSON.parse(JSON.stringify(each)) as JobSpec))
        const one = new ByteWriter(16)
        const singly = seqs.map((seq) => {
          one.length = 0
          writeJob(one, source, seq, -1)
          return one.toBuffer().toString()
        })
        const list = new ByteWriter(16)
        writeJobs(list, source, { seqs: Float64Array.from(seqs), count: seqs.length }, -1)
        expect(list.toBuffer().toString()).toBe(`[${singly.join(',')}]`)
      }),
      { numRuns: 300 },
    )
  })
})
