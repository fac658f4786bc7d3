// The checker finds what it is for: for each rule a story that is right, and the same with one thing wrong.

import { describe, expect, it } from 'vitest'
import { check } from '../../chaos/checker.ts'
import type { Options } from '../../chaos/evidence.ts'
import { cronDataOf } from '../../chaos/rules-cron.ts'
import { QUEUE, Tale } from '../../chaos/tale.ts'

const A = 32
const B = 64
const C = 96

function broken(tell: (tale: Tale) => void, options: Partial<Options> = {}): string[] {
  const tale = new Tale()
  tell(tale)
  return [...new Set(check(tale.history, options).violations.map(({ rule }) => rule))]
}

/** One job, pushed, delivered with token 5, acknowledged. */
function life(tale: Tale): void {
  tale.push([0, 10], A)
  tale.pull([20, 30], [{ id: A, token: 5 }])
  tale.run('ack', [40, 50], A, 5)
}

describe('I1: an acknowledged push', () => {
  it('may be completed, in the dead letter queue, or gone for a reason', () => {
    const right = (tale: Tale) => {
      life(tale)
      tale.push([0, 10], B)
      tale.push([0, 10], C, { ttlMs: 50 })
      tale.push([0, 10], 128)
      tale.run('cancel', [20, 30], 128, 0)
      tale.end(100, { [A]: 'completed', [B]: 'failed', [C]: 'unknown', 128: 'unknown' })
    }
    expect(broken(right)).toEqual([])
  })

  it('is not lost', () => {
    const gone = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.end(100, { [A]: 'unknown' })
    }
    expect(broken(gone)).toEqual(['I1'])
    expect(broken(gone, { lossy: true })).toEqual([])
  })

  it('is looked for', () => {
    const forgotten = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.end(100, {})
    }
    expect(broken(forgotten)).toEqual(['I1'])
  })

  it('does not stay behind when all is drained', () => {
    const stuck = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.end(100, { [A]: 'waiting' })
    }
    expect(broken(stuck)).toEqual(['L1'])
    expect(broken(stuck, { drained: false })).toEqual([])
  })

  it('counts also when only its delivery was seen', () => {
    const seen = (state: string) => (tale: Tale) => {
      tale.push([0, 10, 'unknown'], A)
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.run('ack', [40, 50, 'unknown'], A, 5)
      tale.end(100, { [A]: state }, { pushed: 1 })
    }
    expect(broken(seen('completed'))).toEqual([])
    expect(broken(seen('unknown'))).toEqual(['I1'])
  })
})

describe('I2: a delivered job', () => {
  it('was pushed', () => {
    expect(broken((tale) => tale.pull([0, 10], [{ id: A }]))).toEqual(['I2'])
  })

  it('may be of a push without an answer, but is not of a refused one', () => {
    const tell = (outcome: 'unknown' | 'refused') => (tale: Tale) => {
      tale.push([0, 10, outcome, outcome === 'refused' ? 'unavailable' : ''], A)
      tale.pull([20, 30], [{ id: A }])
    }
    expect(broken(tell('unknown'))).toEqual([])
    expect(broken(tell('refused'))).toEqual(['I2'])
  })

  it('has the data, queue, priority and age that it had', () => {
    for (const wrong of [{ data: '{"k":"key-32","pad":"y"}' }, { priority: 3 }]) {
      const tell = (tale: Tale) => {
        tale.push([0, 10], A)
        tale.pull([20, 30], [{ id: A, ...wrong }])
      }
      expect(broken(tell)).toEqual(['I2'])
    }
    const anew = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.run('release', [40, 50], A, 5)
      tale.pull([60, 70], [{ id: A, token: 6, createdAtMs: 2 }])
    }
    expect(broken(anew)).toEqual(['I2'])
  })

  it('is the only one of its push', () => {
    const twice = (tale: Tale) => {
      tale.push([0, 10, 'unknown'], 0, { key: 'key-32' })
      tale.pull([20, 30], [{ id: A, token: 1 }])
      tale.pull([40, 50], [{ id: B, token: 2, data: '{"k":"key-32","pad":""}' }])
    }
    expect(broken(twice)).toEqual(['I2'])
    const other = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: B, data: '{"k":"key-32","pad":""}' }])
    }
    expect(broken(other)).toEqual(['I2'])
  })
})

describe('I3: a completed job', () => {
  it('is completed once', () => {
    const twice = (tale: Tale) => {
      life(tale)
      tale.run('ack', [45, 55], A, 5)
    }
    expect(broken(twice)).toEqual(['I3'])
  })

  it('does not run again', () => {
    const again = (tale: Tale) => {
      life(tale)
      tale.pull([60, 70], [{ id: A, token: 6, attempts: 1 }])
    }
    expect(broken(again)).toContain('I3')
    const crossed = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: A, token: 5 }], { leaseMs: 5 })
      tale.pull([32, 45], [{ id: A, token: 6, attempts: 1 }])
      tale.run('ack', [40, 50], A, 6)
    }
    expect(broken(crossed)).toEqual([])
  })

  it('takes nothing any more', () => {
    const failed = (tale: Tale) => {
      life(tale)
      tale.run('fail', [60, 70], A, 5)
    }
    expect(broken(failed)).toEqual(['I3'])
  })

  it('stays completed, with the result of its ack', () => {
    const end = (state: string, result: string) => (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.run('ack', [40, 50], A, 5, { result: '1' })
      tale.end(100, { [A]: { state, result } }, {}, [])
    }
    expect(broken(end('completed', '1'))).toEqual([])
    expect(broken(end('completed', '2'))).toEqual(['I3'])
    expect(broken(end('active', ''), { drained: false })).toEqual(['I3'])
  })

  it('was completed by somebody', () => {
    const alone = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.end(100, { [A]: 'completed' })
    }
    expect(broken(alone)).toEqual(['I3'])
  })
})

describe('I4: tokens and runs', () => {
  const redelivered = (attempts: number, end: 'fail' | 'release' | null) => (tale: Tale) => {
    tale.push([0, 10], A, { maxAttempts: 3 })
    tale.pull([20, 30], [{ id: A, token: 5 }], { leaseMs: 100 })
    if (end !== null) tale.run(end, [40, 50], A, 5)
    tale.pull([200, 210], [{ id: A, token: 6, attempts }])
  }

  it('a token names one delivery of a shard', () => {
    const same = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.push([0, 10], B)
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.pull([25, 35], [{ id: B, token: 5 }])
    }
    expect(broken(same)).toEqual(['I4'])
  })

  it('tokens of a shard rise', () => {
    const back = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.push([0, 10], B)
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.pull([40, 50], [{ id: B, token: 4 }])
    }
    expect(broken(back)).toEqual(['I4'])
  })

  it('a run that failed, or whose lease is over, is counted once', () => {
    expect(broken(redelivered(1, 'fail'))).toEqual([])
    expect(broken(redelivered(1, null))).toEqual([])
    expect(broken(redelivered(0, 'fail'))).toEqual(['I4'])
    expect(broken(redelivered(2, 'fail'))).toEqual(['I4'])
  })

  it('a run that was given back is not', () => {
    expect(broken(redelivered(0, 'release'))).toEqual([])
  })

  it('a pull without an answer may have run it', () => {
    const unseen = (tale: Tale) => {
      tale.pull([5, 15, 'unknown'], [])
      redelivered(2, 'fail')(tale)
    }
    expect(broken(unseen)).toEqual([])
  })

  it('not more runs than allowed', () => {
    const many = (tale: Tale) => {
      tale.push([0, 10], A, { maxAttempts: 1 })
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.run('fail', [40, 50], A, 5)
      tale.pull([60, 70], [{ id: A, token: 6, attempts: 1 }])
    }
    expect(broken(many)).toEqual(['I4'])
  })

  it('begin anew from the dead letter queue only', () => {
    const retried = (tale: Tale) => {
      tale.push([0, 10], A, { maxAttempts: 1 })
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.run('fail', [40, 50], A, 5)
      tale.queue('retryDlq', [60, 70])
      tale.pull([80, 90], [{ id: A, token: 6 }])
    }
    expect(broken(retried)).toEqual([])
  })
})

describe('I5: while a consumer certainly holds a job', () => {
  it('nobody else gets it', () => {
    const shared = (secondMs: number) => (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: A, token: 5 }], { leaseMs: 100 })
      tale.pull([secondMs, secondMs + 10], [{ id: A, token: 6, attempts: 1 }])
    }
    expect(broken(shared(40))).toEqual(['I5'])
    expect(broken(shared(120))).toEqual([])
  })

  it('a heartbeat keeps it', () => {
    const kept = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: A, token: 5 }], { leaseMs: 100 })
      tale.run('heartbeat', [100, 110], A, 5, { leaseMs: 100 })
      tale.pull([150, 160], [{ id: A, token: 6, attempts: 1 }])
    }
    expect(broken(kept)).toEqual(['I5'])
  })

  it('it is believed, also after a crash', () => {
    const doubted = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.run('heartbeat', [40, 50, 'refused', 'stale_token'], A, 5, { leaseMs: 1000 })
    }
    expect(broken(doubted)).toEqual(['I5'])
    const lateOne = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: A, token: 5 }], { leaseMs: 100 })
      tale.run('ack', [110, 130, 'refused', 'stale_token'], A, 5)
    }
    expect(broken(lateOne)).toEqual([])
  })

  it('unless its connection broke, or it gave the job back with it', () => {
    const lost = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.lose(1, 31)
      tale.pull([40, 50], [{ id: A, token: 6 }], { connection: 2 })
    }
    expect(broken(lost)).toEqual([])
  })
})

describe('I6: a token', () => {
  it('that is not the newest does nothing', () => {
    const stale = (outcome: 'ok' | 'refused') => (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: A, token: 5 }], { leaseMs: 50 })
      tale.pull([80, 90], [{ id: A, token: 6, attempts: 1 }])
      tale.run('ack', [100, 110, outcome, 'stale_token'], A, 5)
    }
    expect(broken(stale('refused'))).toEqual([])
    expect(broken(stale('ok'))).toEqual(['I6'])
  })

  it('that was never given does nothing', () => {
    const made = (tale: Tale) => {
      tale.push([0, 10], A)
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.run('ack', [40, 50], A, 7)
    }
    expect(broken(made)).toEqual(['I6'])
  })
})

describe('I7: not before its time', () => {
  it('a delayed job', () => {
    const tell = (atMs: number) => (tale: Tale) => {
      tale.push([0, 10], A, { delayMs: 1000 })
      tale.pull([100, atMs], [{ id: A }])
    }
    expect(broken(tell(1000))).toEqual([])
    expect(broken(tell(900))).toEqual(['I7'])
  })

  it('a job that is to be retried later', () => {
    const tell = (atMs: number) => (tale: Tale) => {
      tale.push([0, 10], A, { backoffMs: 500 })
      tale.pull([20, 30], [{ id: A, token: 5 }])
      tale.run('fail', [40, 50], A, 5)
      tale.pull([60, atMs], [{ id: A, token: 6, attempts: 1 }])
    }
    expect(broken(tell(540))).toEqual([])
    expect(broken(tell(400))).toEqual(['I7'])
  })
})

describe('I8: a job with a parent', () => {
  it('does not run before the parent is done', () => {
    const tell = (ackMs: number) => (tale: Tale) => {
      tale.push([0, 10], A)
      tale.push([20, 30], B, { dependsOn: [A] })
      tale.pull([40, 50], [{ id: A, token: 5 }])
      tale.run('ack', [ackMs, ackMs + 10], A, 5)
      tale.pull([80, 90], [{ id: B, token: 6 }])
    }
    expect(broken(tell(60))).toEqual([])
    expect(broken(tell(95))).toEqual(['I8'])
  })
})

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
    tale.queue('pause', [0, 10])
    expect(QUEUE).toBe('q')
    expect(check(tale.history).coverage).toMatchObject({
      ackedPushes: 1,
      completions: 1,
      deliveries: 1,
      unknown: { push: 1, pull: 0, run: 0 },
    })
  })
})
