import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { EventTraffic } from '../../../../src/engine/event-traffic.ts'
import { limits } from '../../../../src/engine/limits.ts'
import { EventKind } from '../../../../src/engine/ports.ts'
import { anybody } from '../../../../src/transports/auth/principal.ts'
import { Usage } from '../../../../src/transports/auth/usage.ts'
import type { EventStream, StreamSink } from '../../../../src/transports/events/event-stream.ts'
import { EventStreams } from '../../../../src/transports/events/event-streams.ts'
import { EventFilter, filterOf } from '../../../../src/transports/events/filter.ts'
import { FakeFeed } from '../../../support/fake-feed.ts'

class FakeSink implements StreamSink {
  readonly form: 'sse' | 'ws'
  unsentBytes = 0
  takenBytes = 0
  text = ''
  readonly buffers: Buffer[] = []
  id = ''
  /** Pings, where it has them. */
  answers = true
  ended = false
  destroyed = false

  constructor(form: 'sse' | 'ws' = 'sse') {
    this.form = form
  }

  write(bytes: Buffer): void {
    this.buffers.push(bytes)
    this.text += bytes.toString()
  }

  quiet(id: string): boolean {
    this.text += `:${id}\n\n`
    return this.answers
  }

  end(): void {
    this.ended = true
  }

  destroy(): void {
    this.destroyed = true
  }

  /** What its events are about, in order. */
  get jobs(): string[] {
    return [
      ...this.text.matchAll(/"job":"(\w+)"|"event_type":"(dropped)"(?:,"count":(\d+))?/g),
    ].map(([, job, dropped, count]) =>
      dropped === undefined ? `${job}` : `dropped ${count ?? '?'}`,
    )
  }

  get lastId(): string {
    return [...this.text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? this.id
  }
}

describe('the event streams of a worker', () => {
  let nowMs = 0
  let feed: FakeFeed
  let streams: EventStreams
  let traffic: EventTraffic
  const tasks: (() => void)[] = []

  beforeEach(() => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    nowMs = 5000
    feed = new FakeFeed()
    traffic = new EventTraffic()
    streams = newStreams()
  })

  function newStreams(): EventStreams {
    return new EventStreams({
      feed,
      traffic,
      usage: new Usage({ nowMs: () => nowMs }),
      clock: { nowMs: () => nowMs },
      log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
      moments: { nowMs: () => nowMs, later: (_delayMs, task) => void tasks.push(task) },
    })
  }

  function run(): void {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) task()
  }

  function passMs(ms: number): void {
    for (let left = ms; left > 0; left -= 1000) {
      nowMs += Math.min(1000, left)
      vi.advanceTimersByTime(Math.min(1000, left))
      run()
    }
  }

  function open(
    sink: FakeSink,
    lastEventId: string | null = null,
    wanted: object = {},
    owner = 'me',
  ): EventStream {
    const filter = filterOf(anybody, wanted)
    if (!(filter instanceof EventFilter)) throw new Error(filter.text)
    const begun = (id: string): void => {
      sink.id = id
    }
    return streams.open({ filter, sink, owner, lastEventId, begun, isAllowed: () => true })
  }

  it('get the same bytes, made once, when they hear everything', () => {
    const stream = feed.stream(0)
    const sinks = Array.from({ length: 3 }, () => new FakeSink())
    for (const sink of sinks) open(sink)
    for (const text of ['a', 'b', 'c']) feed.tell(stream, text)
    run()
    for (const sink of sinks) {
      expect(sink.buffers).toHaveLength(1)
      expect(sink.buffers[0]?.buffer).toBe(sinks[0]?.buffers[0]?.buffer)
      expect(sink.jobs).toEqual(['a', 'b', 'c'])
    }
    expect(sinks[0]?.text).toMatch(
      /^event: pushed\nid: 0\.rs\.1\ndata: \{"job":"a"\}\n\nevent: pushed\nid: 0\.rs\.2\n/,
    )
  })

  it('share what a filter lets pass, and the frames of WebSockets', () => {
    const stream = feed.stream(0)
    const some = [new FakeSink(), new FakeSink()]
    const sockets = [new FakeSink('ws'), new FakeSink('ws')]
    for (const sink of some) open(sink, null, { queues: 'odd', types: 'pushed' })
    for (const sink of sockets) open(sink)
    for (let i = 0; i < 6; i++) feed.tell(stream, `n${i}`, i % 2 === 0 ? 'even' : 'odd')
    feed.tell(stream, 'other', 'odd', EventKind.failed)
    run()
    expect(some[0]?.jobs).toEqual(['n1', 'n3', 'n5'])
    expect(some[1]?.buffers[0]).toBe(some[0]?.buffers[0])
    expect(sockets[0]?.jobs).toHaveLength(7)
    expect(sockets[1]?.buffers[0]).toBe(sockets[0]?.buffers[0])
    expect(sockets[0]?.buffers[0]?.subarray(0, 14).toString('latin1')).toBe('\x81\x0c{"job":"n0"}')
  })

  it('ask for what they want together, and for nothing when they have gone', () => {
    const [first, second] = [
      open(new FakeSink(), null, { queues: 'a', types: 'failed' }),
      open(new FakeSink()),
    ]
    const third = open(new FakeSink(), null, { queues: 'a', types: 'pushed' })
    expect(feed.kinds.get('a')).toBe(EventKind.failed | EventKind.pushed)
    expect(feed.kinds.get('*')).toBe(255)
    streams.close(first)
    streams.close(first)
    expect(feed.kinds.get('a')).toBe(EventKind.pushed)
    streams.close(second)
    streams.close(third)
    expect(feed.kinds.size).toBe(0)
    expect(streams.count).toBe(0)
  })

  it('begin when every worker has said where it is', () => {
    feed.isQuick = false
    const stream = feed.stream(0)
    feed.past(stream, 7)
    const sink = new FakeSink()
    open(sink)
    expect(sink.id).toBe('')
    for (const done of feed.waiting) done()
    expect(sink.id).toBe('0.rs.7')
    // What its worker had before comes, and is not for it.
    for (let seq = 1; seq <= 7; seq++) feed.retell(stream, seq, `old${seq}`)
    feed.tell(stream, 'new')
    run()
    expect(sink.jobs).toEqual(['new'])
    expect(sink.lastId).toBe('0.rs.8')
  })

  it('begin all the same when a worker hangs, and say so', () => {
    feed.isQuick = false
    feed.stream(0)
    const sink = new FakeSink()
    open(sink)
    passMs(6000)
    expect(sink.jobs).toEqual(['dropped ?'])
  })

  it('go on at another worker exactly where they were, with ids that are right meanwhile', () => {
    const [first, second] = [feed.stream(0), feed.stream(1)]
    const before = new FakeSink()
    const stream = open(before)
    for (const text of ['a1', 'a2', 'a3']) feed.tell(first, text)
    for (const text of ['b1', 'b2']) feed.tell(second, text)
    run()
    const places = [...before.text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? '')
    streams.close(stream)
    // There, the second worker's events arrive first.
    for (let at = 0; at < places.length; at++) {
      const due = new Set(
        ['a1', 'a2', 'a3', 'b1', 'b2', 'a4'].filter(
          (job) => !before.jobs.slice(0, at + 1).includes(job),
        ),
      )
      streams = newStreams()
      const after = new FakeSink()
      const resumed = open(after, places[at] ?? '')
      for (const [seq, text] of ['b1', 'b2'].entries()) feed.retell(second, seq + 1, text)
      run()
      for (const [seq, text] of ['a1', 'a2', 'a3'].entries()) feed.retell(first, seq + 1, text)
      feed.retell(first, 4, 'a4')
      run()
      expect(new Set(after.jobs)).toEqual(due)
      expect(after.jobs).toHaveLength(due.size)
      // Each id on the way says what was had up to there.
      const ids = [...after.text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? '')
      for (const [index, id] of ids.entries()) {
        const again = new FakeSink()
        const more = open(again, id)
        run()
        expect(new Set(again.jobs)).toEqual(new Set(after.jobs.slice(index + 1)))
        streams.close(more)
      }
      streams.close(resumed)
    }
  })

  it('come back from a worker that ends, whole, wherever its end is not known yet', () => {
    const [ending, other] = [feed.stream(0, 1000, false), feed.stream(1, 2000, false)]
    const sink = new FakeSink()
    open(sink)
    for (const text of ['a1', 'a2']) feed.tell(ending, text)
    feed.tell(other, 'b1')
    feed.end(ending, true)
    // Its turn has not come when the worker closes its streams.
    expect(sink.jobs).toEqual([])
    streams.drain()
    expect(sink.jobs).toEqual(['a1', 'a2', 'b1'])
    const { lastId } = sink

    // At a worker that is still being told what that one had.
    feed.streams.push(ending)
    streams = newStreams()
    const behind = new FakeSink()
    const stream = open(behind, lastId)
    feed.retell(ending, 1, 'a1')
    feed.retell(other, 1, 'b1')
    feed.retell(ending, 2, 'a2')
    feed.tell(other, 'b2')
    run()
    expect(behind.jobs).toEqual(['b2'])
    streams.close(stream)

    // And at one that has never heard of it.
    feed.end(ending, true)
    for (const [id, due] of [
      [lastId, ['b2']],
      [behind.lastId, []],
    ] as const) {
      streams = newStreams()
      const stranger = new FakeSink()
      open(stranger, id)
      for (const [index, text] of ['b1', 'b2'].entries()) feed.retell(other, index + 1, text)
      run()
      expect(stranger.jobs).toEqual(due)
    }
  })

  it('are told what is gone when they come back too late', () => {
    const stream = feed.stream(0)
    const keeper = new FakeSink()
    open(keeper)
    feed.tell(stream, 'a')
    run()
    const place = keeper.lastId
    const large = 'x'.repeat(100_000)
    for (let i = 0; i * large.length < 2 * limits.eventHistoryBytesMax; i++) {
      feed.tell(stream, large)
      run()
    }
    const late = new FakeSink()
    open(late, place)
    run()
    expect(late.jobs[0]).toBe('dropped ?')
    expect(late.jobs.length).toBeLessThan(keeper.jobs.length)
    expect(keeper.jobs).not.toContain('dropped ?')
  })

  it('lose the oldest when they do not read, and are told how many of their own', () => {
    const stream = feed.stream(0)
    const [slow, picky] = [new FakeSink(), new FakeSink()]
    open(slow)
    open(picky, null, { queues: 'odd' })
    slow.unsentBytes = limits.subscriberBytesMax + 1
    picky.unsentBytes = limits.subscriberBytesMax + 1
    const large = 'x'.repeat(50_000)
    const count = 1000
    for (let i = 0; i < count; i++) feed.tell(stream, large, i % 2 === 0 ? 'even' : 'odd')
    run()
    expect(slow.text).toBe('')
    slow.unsentBytes = 0
    picky.unsentBytes = 0
    streams.drained()
    run()
    for (const [sink, due] of [
      [slow, count],
      [picky, count / 2],
    ] as const) {
      const [first = '', ...rest] = sink.jobs
      expect(Number(first.split(' ')[1]) + rest.length).toBe(due)
      expect(rest.length).toBeGreaterThan(100)
    }
    const told = [slow, picky].map(({ jobs: [first = ''] }) => Number(first.split(' ')[1]))
    expect(traffic.droppedOf('sse')).toBe((told[0] ?? 0) + (told[1] ?? 0))
  })

  it('pass on what a worker left out, and the end of one that died', () => {
    const stream = feed.stream(0)
    const sink = new FakeSink()
    open(sink)
    feed.tell(stream, 'a')
    feed.skip(stream, 12)
    feed.tell(stream, 'b')
    feed.end(stream, false)
    run()
    expect(sink.jobs).toEqual(['a', 'dropped 12', 'b', 'dropped ?'])
    expect(traffic.droppedOf('sse')).toBe(12)
    // Whoever has had that is not told again.
    const back = new FakeSink()
    open(back, sink.lastId)
    run()
    expect(back.jobs).toEqual([])
    const other = feed.stream(1, 2000, true)
    feed.tell(other, 'c')
    feed.end(other, true)
    run()
    expect(sink.jobs.slice(4)).toEqual(['c'])
    expect(sink.lastId).toMatch(/E-.*E$/)
  })

  it('are told when a worker came that nobody heard from its beginning', () => {
    feed.stream(0)
    const sink = new FakeSink()
    open(sink)
    feed.stream(1, 3000, false)
    run()
    expect(sink.jobs).toEqual(['dropped ?'])
    feed.stream(2, 4000, true)
    run()
    expect(sink.jobs).toHaveLength(1)
  })

  it('are kept alive when nothing happens, and closed when nobody reads', () => {
    feed.stream(0)
    const sink = new FakeSink()
    open(sink)
    passMs(limits.streamQuietMs - 1000)
    expect(sink.text).toBe('')
    passMs(2000)
    expect(sink.text).toBe(':0.rs.0\n\n')
    sink.unsentBytes = 1
    passMs(limits.streamStallMs - 2000)
    expect(sink.destroyed).toBe(false)
    sink.takenBytes++
    passMs(limits.streamStallMs - 1000)
    expect(sink.destroyed).toBe(false)
    passMs(3000)
    expect(sink.destroyed).toBe(true)
    expect(streams.count).toBe(0)
    expect([traffic.openOf('sse'), traffic.cutOf('sse', 'slow')]).toEqual([0, 1])
  })

  it('are counted by door, and by why they are cut off', () => {
    feed.stream(0)
    const [silent, revoked, drained] = [new FakeSink('ws'), new FakeSink('ws'), new FakeSink()]
    silent.answers = false
    open(silent)
    let isAllowed = true
    const filter = filterOf(anybody, {}) as EventFilter
    const wanted = { filter, owner: 'me', lastEventId: null, begun: () => {} }
    streams.open({ ...wanted, sink: revoked, isAllowed: () => isAllowed })
    open(drained)
    expect([traffic.openOf('ws'), traffic.openOf('sse')]).toEqual([2, 1])
    passMs(limits.streamQuietMs + 1000)
    expect(traffic.cutOf('ws', 'silent')).toBe(1)
    isAllowed = false
    passMs(1000)
    expect([revoked.ended, traffic.cutOf('ws', 'revoked')]).toEqual([true, 1])
    streams.drain()
    expect([traffic.cutOf('ws', 'draining'), traffic.cutOf('sse', 'draining')]).toEqual([1, 1])
    expect([traffic.openOf('ws'), traffic.openOf('sse')]).toEqual([0, 0])
  })

  it('are so many of one owner, and end with the worker', () => {
    const sinks = Array.from({ length: limits.streamsPerOwnerMax }, () => new FakeSink())
    const opened = sinks.map((sink) => open(sink))
    expect(streams.refusalFor('me')?.code).toBe('quota_exceeded')
    expect(streams.refusalFor('you')).toBeNull()
    streams.close(opened[0] as EventStream)
    expect(streams.refusalFor('me')).toBeNull()
    streams.drain()
    expect(sinks.slice(1).every(({ ended }) => ended)).toBe(true)
    expect(streams.refusalFor('you')?.code).toBe('draining')
    expect(feed.kinds.size).toBe(0)
  })
})
