// The checker finds what it is for, in single jobs: for each rule a story that is right, and one with one thing wrong.

import { describe, expect, it } from 'vitest'
import { A, B, broken, C, life, type Tale } from '../../chaos/tale.ts'

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
