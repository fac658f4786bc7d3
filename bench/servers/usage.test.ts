import { expect, it } from 'vitest'
import { cpuMsOf } from './usage.ts'

it('CPU time is that of a process and of its children that have ended, whatever its name', () => {
  const counted = '1 2 30 40'
  const stat = `4711 (a) b (c d)) S 1 4711 4711 0 -1 4194304 9 9 0 0 ${counted} 20 0 11 0 12345 99 88`
  expect(cpuMsOf(stat)).toBe(730)
})
