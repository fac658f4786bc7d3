import { expect, it } from 'vitest'
import { benchLz } from './lz.ts'

it('the bench of packed batches still runs', () => {
  for (const { title, nsPerOperation } of benchLz(true)) {
    expect(nsPerOperation, title).toBeGreaterThan(0)
  }
})
