import { describe, expect, it } from 'vitest'
import { EventKind, type Subscriber } from '../../../../src/engine/ports.ts'
import { EventHub } from '../../../../src/transports/events/hub.ts'
import { FakeJobSource, NOW_MS } from '../../../support/job-source.ts'

class FakeSubscriber implements Subscriber {
  readonly lines: string[] = []
  readonly buffers: Buffer[] = []

  event(line: Buffer): void {
    this.buffers.push(line)
    this.lines.push(line.toString())
  }
}

describe('an event line', () => {
  const source = new FakeJobSource()

  function lineOf(kind: EventKind, spec: object, error: string | null): string {
    const hub = new EventHub()
    const subscriber = new FakeSubscriber()
    hub.subscribe('orders', kind, subscriber)
    const seq = source.add(spec)
    hub.event(kind, source, seq, NOW_MS, error)
    return (subscriber.lines[0] ?? '').replace(source.expected(seq, spec), 'JOB')
  }

  it('names the event, the queue, the job and the time', () => {
    for (const [name, kind] of Object.entries(EventKind)) {
      expect(lineOf(kind, { data: '{"ü":1}' }, null)).toBe(
        `{"event":"${name}","queue":"orders","job":JOB,"timestamp":${NOW_MS}}\n`,
      )
    }
  })

  it('carries the result of a completed job when there is one', () => {
    expect(lineOf(EventKind.completed, { result: '{"b": 1.0}' }, null)).toBe(
      `{"event":"completed","queue":"orders","job":JOB,"timestamp":${NOW_MS},"result":{"b": 1.0}}\n`,
    )
  })

  it('carries the error when there is one', () => {
    expect(lineOf(EventKind.failed, { attempts: 3 }, 'no "luck"')).toBe(
      `{"event":"failed","queue":"orders","job":JOB,"timestamp":${NOW_MS},"error":"no \\"luck\\""}\n`,
    )
  })
})

describe('the event hub', () => {
  it('wants nothing while nobody listens', () => {
    const hub = new EventHub()
    const subscriber = new FakeSubscriber()
    expect(hub.listening).toBe(false)
    hub.subscribe('a', EventKind.failed | EventKind.pushed, subscriber)
    hub.subscribe('b', EventKind.expired, subscriber)
    expect(hub.listening).toBe(true)
    expect(hub.wants('a', EventKind.pushed)).toBe(true)
    expect(hub.wants('a', EventKind.expired)).toBe(false)
    expect(hub.wants('b', EventKind.expired)).toBe(true)
    expect(hub.wants('__proto__', EventKind.expired)).toBe(false)
    hub.unsubscribe('a', subscriber)
    hub.unsubscribe('a', subscriber)
    hub.unsubscribe('never', subscriber)
    expect(hub.wants('a', EventKind.pushed)).toBe(false)
    expect(hub.listening).toBe(true)
    hub.unsubscribe('b', subscriber)
    expect(hub.listening).toBe(false)
  })

  it('tells each subscriber what it asked for, with one line for all', () => {
    const hub = new EventHub()
    const source = new FakeJobSource()
    const [failures, everything, elsewhere] = [
      new FakeSubscriber(),
      new FakeSubscriber(),
      new FakeSubscriber(),
    ]
    hub.subscribe('orders', EventKind.failed, failures)
    hub.subscribe('orders', 255, everything)
    hub.subscribe('other', 255, elsewhere)
    hub.event(EventKind.pushed, source, source.add(), NOW_MS, null)
    hub.event(EventKind.failed, source, source.add(), NOW_MS, 'x')
    expect(failures.lines).toHaveLength(1)
    expect(everything.lines).toHaveLength(2)
    expect(elsewhere.lines).toHaveLength(0)
    expect(failures.buffers[0]).toBe(everything.buffers[1])
    // A line may be kept: the next one is not written over it.
    expect(everything.buffers[0]?.toString()).toBe(everything.lines[0])
  })

  it('adds to a subscription, and ends it as a whole', () => {
    const hub = new EventHub()
    const [first, second] = [new FakeSubscriber(), new FakeSubscriber()]
    hub.subscribe('a', EventKind.pushed, first)
    hub.subscribe('a', EventKind.failed, first)
    hub.subscribe('a', EventKind.expired, second)
    expect(hub.wants('a', EventKind.pushed)).toBe(true)
    expect(hub.wants('a', EventKind.failed)).toBe(true)
    hub.unsubscribe('a', first)
    expect(hub.wants('a', EventKind.pushed)).toBe(false)
    expect(hub.wants('a', EventKind.expired)).toBe(true)
  })
})
