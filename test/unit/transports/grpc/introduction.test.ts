// What the metadata of a call says of its consumer.

import { Metadata } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { introductionOf } from '../../../../src/transports/grpc/introduction.ts'

const read = (fields: Readonly<Record<string, string>>): unknown => {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value)
  return introductionOf(metadata, '10.0.0.1')
}
const none = { name: null, host: null, version: null, concurrency: 0, address: '10.0.0.1' }

describe('an introduction', () => {
  it('says what is there', () => {
    expect(read({})).toEqual(none)
    const some = { 'flashq-consumer': 'mailer 1', 'flashq-host': 'a', 'flashq-version': '2' }
    expect(read({ ...some, 'flashq-concurrency': '40' })).toEqual({
      ...{ name: 'mailer 1', host: 'a', version: '2', concurrency: 40, address: '10.0.0.1' },
    })
    expect(read({ 'flashq-host': 'a', consumer: 'other' })).toEqual({ ...none, host: 'a' })
  })

  it('with what no consumer can have is refused', () => {
    for (const [name, value] of [
      ['flashq-consumer', ''],
      ['flashq-consumer', 'x'.repeat(129)],
      ['flashq-host', 'x'.repeat(129)],
      ['flashq-version', ''],
      ['flashq-concurrency', '-1'],
      ['flashq-concurrency', '1e3'],
      ['flashq-concurrency', ''],
      ['flashq-concurrency', '9'.repeat(10)],
    ] as const) {
      expect(read({ [name]: value }), `${name}: ${value}`).toMatchObject({ code: 'invalid' })
    }
  })
})
