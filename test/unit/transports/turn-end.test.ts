import { expect, it } from 'vitest'
import { atTurnEnd } from '../../../src/transports/turn-end.ts'

it('runs what a turn gathered together, in order, when the turn is over', async () => {
  const ran: string[] = []
  atTurnEnd(() => {
    ran.push('first')
    atTurnEnd(() => ran.push('of the next turn'))
  })
  atTurnEnd(() => ran.push('second'))
  await Promise.resolve()
  expect(ran).toEqual([])
  await new Promise((done) => setImmediate(done))
  expect(ran).toEqual(['first', 'second'])
  await new Promise((done) => setImmediate(done))
  expect(ran).toEqual(['first', 'second', 'of the next turn'])
})
