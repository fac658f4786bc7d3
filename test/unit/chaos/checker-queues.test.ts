// The checker finds what it is for, in queues: for each rule a story that is right, and one with one thing wrong.

import { describe, expect, it } from 'vitest'
import { check } from '../../chaos/checker.ts'
import { cronDataOf } from '../../chaos/rules-cron.ts'
import { A, B, broken, C, life, Tale } from '../../chaos/tale.ts'

describe('I9: a queue', () => {
  it('gives out nothing while it is paused', () => {
    const tell = (resumeMs: number) => (tale: Tale) => {
      tale.push([0, 10], A)
      tale.queue('pause', [20, 30])
      tale.queue('resume', [resumeMs, resumeMs + 10])
      tale.pull([40, 60], [{ id: A }])
    }
    expect(broken(tell(50))).toEqual([])
    expect(broken(tell(70))).toEqual(['I9'])
  })

  it('gives out no more at a time than its limit', () => {
    const tell = (limit: number) => (tale: Tale) => {
      tale.queue('concurrency', [0, 10], limit)
      tale.push([20, 30], A)
      tale.push([20, 30], B)
      tale.pull([40, 50], [{ id: A, token: 1 }])
      tale.pull([60, 70], [{ id: B, token: 2 }])
    }
    expect(broken(tell(2))).toEqual([])
    expect(broken(tell(1))).toEqual(['I9'])
  })
})

describe('I10: a queue', () => {
  it('gives out no more a second than its limit', () => {
    const tell = (everyMs: number) => (tale: Tale) => {
      tale.queue('rate', [0, 10], 2)
      for (let i = 1; i <= 6; i++) {
        tale.push([10, 20], i * 32)
        tale.pull([i * everyMs, i * everyMs + 5], [{ id: i * 32, token: i }])
      }
    }
    expect(broken(tell(500))).toEqual([])
    expect(broken(tell(100))).toEqual(['I10'])
  })
})

describe('I11: the next job', () => {
  const tell = (first: number, second: number, priority: number) => (tale: Tale) => {
    tale.push([0, 10], A)
    tale.push([20, 30], B, { priority })
    const seen = (id: number, token: number) => ({ id, token, priority: id === B ? priority : 0 })
    tale.pull([40, 50], [seen(first, 1)])
    tale.pull([60, 70], [seen(second, 2)])
  }

  it('is the oldest', () => {
    expect(broken(tell(A, B, 0))).toEqual([])
    expect(broken(tell(B, A, 0))).toEqual(['I11'])
  })

  it('is of the highest priority', () => {
    expect(broken(tell(B, A, 1))).toEqual([])
    expect(broken(tell(A, B, 1))).toEqual(['I11'])
  })

  it('unless a pull without an answer may have had it', () => {
    const unseen = (tale: Tale) => {
      tale.pull([11, 15, 'unknown'], [])
      tell(B, A, 0)(tale)
    }
    expect(broken(unseen)).toEqual([])
  })
})

describe('I12: a unique key', () => {
  const terms = { uniqueKey: 'u' }

  it('has one live job', () => {
    const two = (tale: Tale) => {
      tale.push([0, 10], A, terms)
      tale.push([20, 30], B, terms)
    }
    expect(broken(two)).toEqual(['I12'])
  })

  it('is free again when its job is done', () => {
    const next = (tale: Tale) => {
      tale.push([0, 10], A, terms)
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.run('ack', [40, 50], A, 5)
      tale.push([60, 70], B, terms)
    }
    expect(broken(next)).toEqual([])
  })

  it('is refused only while somebody may have it', () => {
    const refused = (tale: Tale) => {
      tale.push([0, 10, 'refused', 'duplicate_key'], A, terms)
    }
    expect(broken(refused)).toEqual(['I12'])
    const doubtful = (tale: Tale) => {
      tale.push([0, 10, 'unknown'], A, terms)
      tale.push([20, 30, 'refused', 'duplicate_key'], B, terms)
    }
    expect(broken(doubtful)).toEqual([])
  })
})

describe('I13: a cron', () => {
  const tell = (createdAtMs: readonly number[]) => (tale: Tale) => {
    tale.cron([0, 10], 's', 60_000, 5000)
    createdAtMs.forEach((atMs, i) => {
      const data = cronDataOf('s')
      const seen = { id: 32 * (i + 1), token: i + 1, data, createdAtMs: atMs }
      tale.pull([atMs, atMs + 1], [seen], { queue: 'cron' })
    })
    tale.end(140_000, {}, { pushed: createdAtMs.length })
  }

  it('fires once for each tick, be it late', () => {
    expect(broken(tell([5001, 90_000, 125_000]))).toEqual([])
  })

  it('leaves no tick out', () => {
    expect(broken(tell([5001, 125_000]))).toEqual(['I13'])
    expect(broken(tell([65_000, 125_000]))).toEqual(['I13'])
  })

  it('fires no tick twice', () => {
    expect(broken(tell([5001, 5002, 65_000, 125_000]))).toEqual(['I13'])
  })
})

describe('I15: counters', () => {
  const tell = (wrong: object, dead?: number[]) => (tale: Tale) => {
    life(tale)
    tale.push([0, 10], B)
    tale.push([0, 10, 'unknown'], C)
    tale.run('ack', [40, 50, 'unknown'], C, 9)
    tale.end(100, { [A]: 'completed', [B]: 'failed' }, wrong, dead)
  }

  it('say what the jobs say', () => {
    expect(broken(tell({}))).toEqual([])
    expect(broken(tell({ pushed: 3, completed: 2 }))).toEqual([])
    for (const wrong of [{ dlq: 0 }, { queued: 1 }, { processing: 1 }, { delayed: 1 }]) {
      expect(broken(tell(wrong))).toEqual(['I15'])
    }
    expect(broken(tell({ pushed: 4 }))).toEqual(['I15'])
    expect(broken(tell({ completed: 0 }))).toEqual(['I15'])
  })

  it('a failed job is among the dead letters, once, and no other is', () => {
    expect(broken(tell({}, []))).toEqual(['I15'])
    expect(broken(tell({}, [B, B]))).toEqual(['I15'])
    expect(broken(tell({}, [A, B]))).toEqual(['I15'])
  })
})

describe('a refusal', () => {
  it('that nothing asked for is reported', () => {
    const odd = (tale: Tale) => tale.push([0, 10, 'refused', 'invalid'], A)
    expect(broken((tale) => void odd(tale))).toEqual(['R1'])
  })
})

describe('coverage', () => {
  it('says how much happened', () => {
    const tale = new Tale()
    life(tale)
    tale.push([0, 10, 'unknown'], B)
    expect(check(tale.history).coverage).toMatchObject({
      ackedPushes: 1,
      completions: 1,
      deliveries: 1,
      unknown: { push: 1, pull: 0, run: 0 },
    })
  })
})
