import { expect, it } from 'vitest'
import { RecordReader, RecordWriter } from '../../../src/engine/record-bytes.ts'
import { SeqGaps } from '../../../src/engine/seq-gaps.ts'

const within = (gaps: SeqGaps, to: number) =>
  Array.from({ length: to }, (_, seq) => seq).filter((seq) => gaps.has(seq))

it('has what is in a gap, its end not', () => {
  const gaps = new SeqGaps()
  expect(within(gaps, 5)).toEqual([])
  gaps.add(3, 5)
  gaps.add(8, 9)
  expect(within(gaps, 12)).toEqual([3, 4, 8])
})

it('takes nothing for a gap that is empty, and joins gaps that touch', () => {
  const gaps = new SeqGaps()
  gaps.add(7, 7)
  gaps.add(7, 5)
  gaps.add(3, 5)
  gaps.add(5, 6)
  expect(gaps.all()).toEqual([3, 6])
})

it('forgets the oldest of too many, and says where it ended', () => {
  const gaps = new SeqGaps(2)
  expect([gaps.add(1, 3), gaps.add(5, 6), gaps.add(8, 10), gaps.add(10, 12)]).toEqual([0, 0, 3, 0])
  expect(gaps.all()).toEqual([5, 6, 8, 12])
})

it('comes back as it was written', () => {
  const gaps = new SeqGaps()
  gaps.add(3, 5)
  gaps.add(2 ** 40, 2 ** 41)
  const w = new RecordWriter().begin(0)
  gaps.write(w)
  const r = new RecordReader(w.end().subarray(1))
  const again = new SeqGaps()
  again.read(r)
  expect(again.all()).toEqual(gaps.all())
})
