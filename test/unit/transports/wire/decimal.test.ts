import { describe, expect, it } from 'vitest'
import { DecimalRun } from '../../../../src/transports/wire/decimal.ts'

const NUMBER_BYTES_MAX = 17

function listOf(run: DecimalRun, first: number, step: number, count: number): string {
  const bytes = Buffer.alloc(4 + count * NUMBER_BYTES_MAX, '#')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const end = run.putList(view, 4, first, step, count)
  expect(bytes.toString('latin1', 0, 4)).toBe('####')
  return bytes.toString('latin1', 4, end)
}

describe('a list of numbers', () => {
  const firsts = [0, 7, 99, 9_984, 10_000, 99_990_000, 123_456_789, 9_999_999_999]
  const large = [1e11, 1e12 - 5000, 239_999_999_968, 2.4e14, 999_999_999_990_000, 2 ** 53 - 40_000]

  it('is what their texts with commas are, whatever was written before', () => {
    const run = new DecimalRun()
    for (const step of [1, 32, 9999]) {
      for (const first of [...firsts, ...large, ...firsts]) {
        for (const count of [0, 1, 2, 1000]) {
          if (first + step * count > Number.MAX_SAFE_INTEGER) continue
          const numbers = Array.from({ length: count }, (_, i) => first + i * step)
          expect(listOf(run, first, step, count)).toBe(numbers.join(','))
        }
      }
    }
  })
})
