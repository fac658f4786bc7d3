import { describe, expect, it } from 'vitest'
import { Turn } from '../../../src/cluster/outbox.ts'

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('the end of a turn', () => {
  it('comes once, however often it is asked for', async () => {
    let ends = 0
    const turn = new Turn(() => ends++)
    turn.schedule()
    turn.schedule()
    await nextTurn()
    await nextTurn()
    expect(ends).toBe(1)
  })

  it('comes again when it is asked for while it is there: what was left then waits for nobody', async () => {
    let ends = 0
    const turn = new Turn(() => {
      if (++ends < 3) turn.schedule()
    })
    turn.schedule()
    for (let i = 0; i < 5; i++) await nextTurn()
    expect(ends).toBe(3)
  })
})
