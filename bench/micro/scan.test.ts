import { expect, it } from 'vitest'
import { benchScan } from './scan.ts'

it('the bench of the scanner still runs', () => {
  for (const { title, nsPerOperation } of benchScan(true)) {
    expect(nsPerOperation, title).toBeGreaterThan(0)
  }
})
