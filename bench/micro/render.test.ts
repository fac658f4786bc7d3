import { expect, it } from 'vitest'
import { benchRender } from './render.ts'

it('the bench of rendering still runs', () => {
  const rows = benchRender(1)
  expect(rows.size).toBeGreaterThan(5)
  for (const ns of rows.values()) expect(ns).toBeGreaterThan(0)
})
