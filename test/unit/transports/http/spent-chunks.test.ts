import { expect, it } from 'vitest'
import { discard } from '../../../../src/transports/http/spent-chunks.ts'

it('a large chunk loses its memory at once', () => {
  const chunk = Buffer.allocUnsafeSlow(64 * 1024)
  const { buffer } = chunk
  discard(chunk)
  expect(buffer.byteLength).toBe(0)
  expect(chunk.length).toBe(0)
})

it('a small one, and one that shares its memory, stay as they are', () => {
  const small = Buffer.allocUnsafeSlow(1024)
  discard(small)
  expect(small.length).toBe(1024)
  const part = Buffer.allocUnsafeSlow(64 * 1024).subarray(0, 32 * 1024)
  discard(part)
  expect(part.length).toBe(32 * 1024)
})
