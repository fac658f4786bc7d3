import { describe, expect, it } from 'vitest'
import {
  type Appended,
  type Batch,
  type Claim,
  StorageFault,
} from '../../../src/engine/storage-port.ts'
import { MeasuredAppends } from '../../../src/storage/measured-appends.ts'

const claim = {} as Claim
const batch: Batch = { position: 1, side: 0, count: 1, bytes: Buffer.alloc(10) }

function measured(outcome: () => Promise<Appended>) {
  let ms = 0
  const appends = new MeasuredAppends({ append: outcome }, () => (ms += 4))
  return appends
}

describe('appends that are measured', () => {
  it('count time and bytes of what is stored', async () => {
    const appends = measured(() => Promise.resolve('durable'))
    expect(await appends.append(claim, batch)).toBe('durable')
    await appends.append(claim, batch)
    expect(appends).toMatchObject({ bytes: 20, unknown: 0, fenced: 0 })
    expect(appends.latency).toMatchObject({ count: 2, sumMs: 8 })
  })

  it('count what the fence refuses', async () => {
    const appends = measured(() => Promise.resolve('fenced'))
    expect(await appends.append(claim, batch)).toBe('fenced')
    expect(appends).toMatchObject({ bytes: 0, fenced: 1 })
  })

  it('count what nobody knows the outcome of, and pass every fault on', async () => {
    const lost = new StorageFault('08006', 'gone', true)
    const appends = measured(() => Promise.reject(lost))
    await expect(appends.append(claim, batch)).rejects.toBe(lost)
    expect(appends.unknown).toBe(1)
    const refused = measured(() => Promise.reject(new StorageFault('22P02', 'no', false)))
    await expect(refused.append(claim, batch)).rejects.toThrow('no')
    expect(refused.unknown).toBe(0)
  })
})
