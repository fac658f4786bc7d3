import { describe, expect, it } from 'vitest'
import { confirmedRecord } from '../../../src/engine/confirmation.ts'
import { RecordWriter } from '../../../src/engine/record-bytes.ts'
import { RecordKind } from '../../../src/engine/recorder.ts'
import { Confirmations } from '../../../src/storage/confirmations.ts'
import { ManualDelay } from '../../support/manual-delay.ts'

class FakeJournal {
  readonly records: Buffer[] = []
  durableMark = 0

  get mark(): number {
    return this.records.length
  }

  append(record: Buffer): void {
    this.records.push(record)
  }

  drained(): Promise<boolean> {
    this.durableMark = this.mark
    return Promise.resolve(true)
  }
}

function bench() {
  const journal = new FakeJournal()
  const time = new ManualDelay()
  const confirmations = new Confirmations(journal, time.delay)
  const appended = (record: Buffer): void => {
    journal.append(record)
    confirmations.appended(record)
  }
  const durable = (): void => {
    journal.durableMark = journal.mark
    confirmations.durable()
  }
  return { journal, time, confirmations, appended, durable }
}

const delivery = (leaseMs: number): Buffer => {
  const w = new RecordWriter().begin(RecordKind.pulled).u32(0).u32(1).f64(5).f64(1)
  return Buffer.from(w.f64(leaseMs).f64(0).end())
}
const other = Buffer.from([RecordKind.evicted, 0, 0, 0, 0])

describe('a delivery without a lease', () => {
  it('is confirmed when nothing else is recorded for a while, once', () => {
    const { journal, time, appended, durable } = bench()
    appended(delivery(0))
    durable()
    expect(journal.records).toHaveLength(1)
    time.pass()
    expect(journal.records.at(-1)).toEqual(confirmedRecord)
    durable()
    time.pass()
    expect(journal.records).toHaveLength(2)
  })

  it('waits until it is durable, and until it is quiet', () => {
    const { journal, time, confirmations, appended, durable } = bench()
    appended(delivery(0))
    confirmations.durable()
    expect(time.count).toBe(0)
    durable()
    appended(other)
    time.pass()
    expect(journal.records).toHaveLength(2)
    durable()
    time.pass()
    expect(journal.records.at(-1)).toEqual(confirmedRecord)
  })

  it('is confirmed at once when its shard is given up', async () => {
    const { journal, confirmations, appended, durable } = bench()
    appended(delivery(0))
    durable()
    await confirmations.confirm()
    expect(journal.records).toHaveLength(2)
    expect(journal.durableMark).toBe(2)
  })
})

describe('what needs no confirmation', () => {
  it('is a delivery with a lease, and everything else', async () => {
    const { journal, time, confirmations, appended, durable } = bench()
    appended(delivery(1000))
    appended(other)
    durable()
    expect(time.count).toBe(0)
    await confirmations.confirm()
    expect(journal.records).toHaveLength(2)
  })

  it('is nothing any more when the journal has ended', () => {
    const { journal, time, confirmations, appended, durable } = bench()
    appended(delivery(0))
    durable()
    confirmations.stop()
    time.pass()
    expect(journal.records).toHaveLength(1)
  })
})
