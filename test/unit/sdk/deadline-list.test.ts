import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DeadlineList } from '../../../sdk/typescript/src/deadline-list.ts'
import { readNothing } from '../../../sdk/typescript/src/reply.ts'
import { CommandRequest, type Request } from '../../../sdk/typescript/src/request.ts'

let expired: number[]
let list: DeadlineList

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'], now: 0 })
  expired = []
  list = new DeadlineList((request) => expired.push(request.deadlineMs))
})

afterEach(() => {
  vi.useRealTimers()
})

function add(deadlineMs: number): Request {
  const request = new CommandRequest({ name: 'STATS', fields: '', effect: 'read' }, readNothing)
  request.deadlineMs = performance.now() + deadlineMs
  list.add(request)
  return request
}

describe('DeadlineList', () => {
  it('expires by deadline, not by order of coming', () => {
    const start = performance.now()
    for (const deadline of [30, 10, 20, 20, 40]) add(deadline)
    vi.advanceTimersByTime(35)
    expect(expired.map((deadline) => Math.round(deadline - start))).toEqual([10, 20, 20, 30])
    expect(list.size).toBe(1)
  })

  it('forgets what was removed, wherever it stood', () => {
    const requests = [10, 20, 30, 40].map(add)
    for (const place of [1, 0, 3]) list.remove(requests[place] as Request)
    list.remove(requests[1] as Request)
    expect(list.size).toBe(1)
    vi.advanceTimersByTime(100)
    expect(expired).toEqual([requests[2]?.deadlineMs])
  })

  it('leaves no timer when it is empty or stopped', () => {
    add(10)
    vi.advanceTimersByTime(10)
    expect(vi.getTimerCount()).toBe(0)
    add(10)
    list.stop()
    expect(vi.getTimerCount()).toBe(0)
  })
})
