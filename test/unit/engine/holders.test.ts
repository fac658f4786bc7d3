import { expect, it } from 'vitest'
import { Holders } from '../../../src/engine/holders.ts'

it('a holder gives back what it still holds, once', () => {
  const held = new Map([
    [1, 7],
    [2, 7],
    [3, 8],
  ])
  const holders = new Holders((seq, holder) => held.get(seq) === holder)
  for (const [seq, holder] of held) holders.add(holder, seq)
  holders.add(7, 1)
  held.delete(2)
  expect(holders.holders()).toEqual([7, 8])
  expect(holders.take(7)).toEqual([1])
  expect(holders.take(7)).toEqual([])
  expect(holders.take(99)).toEqual([])
  expect(holders.holders()).toEqual([8])
})

it('a holder of millions of jobs, one after the other, is a short list', () => {
  let looked = 0
  const holders = new Holders((seq) => {
    looked++
    return seq % 10_000 === 0
  })
  for (let seq = 0; seq < 200_000; seq++) holders.add(1, seq)
  expect(looked).toBeLessThan(400_000)
  expect(holders.take(1)).toHaveLength(20)
  expect(looked).toBeLessThan(400_000)
})
