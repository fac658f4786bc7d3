import { describe, expect, it } from 'vitest'
import { RunFifo } from '../../../src/engine/run-fifo.ts'

function drain(fifo: RunFifo): number[] {
  const out: number[] = []
  while (fifo.size > 0) out.push(fifo.shift())
  return out
}

describe('a FIFO of runs', () => {
  it('gives entries back in the order they came', () => {
    const fifo = new RunFifo()
    for (const seq of [5, 6, 7, 100, 3, 4]) fifo.push(seq)
    expect(fifo.size).toBe(6)
    expect(drain(fifo)).toEqual([5, 6, 7, 100, 3, 4])
  })

  it('says so when it is empty', () => {
    const fifo = new RunFifo()
    expect([fifo.peek(), fifo.shift(), fifo.headRun(), fifo.shiftRun(5)]).toEqual([-1, -1, 0, 0])
  })

  it('joins consecutive entries into one run', () => {
    const fifo = new RunFifo()
    fifo.push(10)
    fifo.pushRun(11, 1000)
    fifo.push(1011)
    expect(fifo.headRun()).toBe(1002)
  })

  it('extends a run of which the head was taken already', () => {
    const fifo = new RunFifo()
    fifo.pushRun(0, 3)
    fifo.shift()
    fifo.push(3)
    expect(fifo.headRun()).toBe(3)
    expect(drain(fifo)).toEqual([1, 2, 3])
  })

  it('does not extend a run that is gone', () => {
    const fifo = new RunFifo()
    fifo.push(0)
    fifo.shift()
    fifo.push(1)
    expect(fifo.peek()).toBe(1)
    expect(fifo.size).toBe(1)
  })

  it('takes a run in parts, and no further than its end', () => {
    const fifo = new RunFifo()
    fifo.pushRun(7, 10)
    fifo.pushRun(100, 2)
    expect([fifo.shiftRun(4), fifo.shiftedFirst]).toEqual([4, 7])
    expect([fifo.shiftRun(100), fifo.shiftedFirst]).toEqual([6, 11])
    expect([fifo.shiftRun(100), fifo.shiftedFirst]).toEqual([2, 100])
    expect(fifo.size).toBe(0)
  })

  it('keeps order over many chunks, while emptied chunks are used again', () => {
    const fifo = new RunFifo()
    let pushed = 0
    let shifted = 0
    for (let i = 0; i < 20_000; i++) {
      fifo.push(pushed++ * 2)
      fifo.push(pushed++ * 2)
      if (fifo.shift() !== shifted++ * 2) throw new Error(`out of order at ${shifted}`)
    }
    while (fifo.size > 0) expect(fifo.shift()).toBe(shifted++ * 2)
    expect(shifted).toBe(pushed)
  })

  it('is empty and usable after it was cleared', () => {
    const fifo = new RunFifo()
    for (let i = 0; i < 5000; i++) fifo.push(i * 2)
    fifo.clear()
    expect(fifo.peek()).toBe(-1)
    fifo.push(10_000)
    expect(drain(fifo)).toEqual([10_000])
  })

  it('holds ten million jobs pushed in batches in one run', () => {
    const fifo = new RunFifo()
    for (let i = 0; i < 10_000; i++) fifo.pushRun(i * 1000, 1000)
    expect(fifo.headRun()).toBe(10_000_000)
  })
})
