import { expect, it } from 'vitest'
import { givesJob } from './first-pulls.ts'

it('a queue gives a job, or is not there yet; that it has none is an error', () => {
  expect(givesJob('{"ok":true,"job":{"id":32,"queue":"q"}}')).toBe(true)
  expect(givesJob('{"ok":false,"error":"later","code":"unavailable"}')).toBe(false)
  expect(givesJob('Error: connect ECONNREFUSED')).toBe(false)
  expect(() => givesJob('{"ok":true,"job":null}')).toThrow('lost')
})
