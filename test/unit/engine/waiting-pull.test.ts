import { describe, expect, it } from 'vitest'
import type { Reply } from '../../../src/engine/ports.ts'
import { WaitingLine, type WaitingPull, WaitingPulls } from '../../../src/engine/waiting-pull.ts'

const reply = {} as Reply
const terms = {
  max: 1,
  many: false,
  leaseMs: 0,
  showToken: false,
  releaseOnClose: false,
  holder: 7,
}

describe('waiting pulls', () => {
  it('are told as they came, whatever numbers are given again', () => {
    const pulls = new WaitingPulls()
    const line = new WaitingLine()
    const add = (): WaitingPull => pulls.add(line, reply, terms, 0)
    const early = [add(), add(), add()]
    for (const pull of early.slice(0, 2)) pulls.end(pull)
    const late = [add(), add(), add()]
    expect(late.map(({ no }) => no)).toContain(early[0]?.no)
    expect(pulls.all()).toEqual([early[2], ...late])
    expect(line.first).toBe(early[2])
  })

  it('of a number that was given again are not ended by the timer of the one before', () => {
    const pulls = new WaitingPulls()
    const first = pulls.add(new WaitingLine(), reply, terms, 1000)
    pulls.end(first)
    const second = pulls.add(new WaitingLine(), reply, terms, 2000)
    expect(second.no).toBe(first.no)
    expect(pulls.timed(second.no, 1000)).toBe(null)
    expect(pulls.timed(second.no, 2000)).toBe(second)
  })
})
