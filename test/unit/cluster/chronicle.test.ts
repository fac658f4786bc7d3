import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { Chronicle, type Hearer } from '../../../src/cluster/chronicle.ts'
import { limits } from '../../../src/engine/limits.ts'
import { ALL_QUEUES, EventKind, type FeedPosition } from '../../../src/engine/ports.ts'

class FakeHearer implements Hearer {
  hasRoom = true
  readonly seen: string[] = []
  position: FeedPosition | null = null

  positioned(position: FeedPosition): void {
    this.position = position
  }

  told(_stream: object, seq: number, _kind: EventKind, queue: string, note: Buffer): void {
    this.seen.push(`${seq} ${queue} ${note.toString()}`)
  }

  skipped(_stream: object, seq: number, count: number): void {
    this.seen.push(`skipped ${count} up to ${seq}`)
  }

  broken(_stream: object, seq: number): void {
    this.seen.push(`broken at ${seq}`)
  }

  over(): void {
    this.seen.push('over')
  }
}

describe('the chronicle of a worker', () => {
  let nowMs = 1_000_000
  let asked: Map<string, number>
  let chronicle: Chronicle

  beforeEach(() => {
    vi.useFakeTimers()
    nowMs = 1_000_000
    asked = new Map()
    chronicle = new Chronicle({
      worker: 3,
      clock: { nowMs: () => nowMs },
      noteOnly: (queue, kinds) => asked.set(queue, kinds),
      schedule: () => undefined,
    })
    onTestFinished(() => {
      chronicle.stop()
      vi.useRealTimers()
    })
  })

  const note = (text: string, queue = 'q'): void =>
    chronicle.note(EventKind.pushed, queue, Buffer.from(text))
  const passMs = (ms: number): void => {
    nowMs += ms
    vi.advanceTimersByTime(ms)
  }

  it('numbers events, and tells each hearer all that it still has, once', () => {
    const [first, second] = [new FakeHearer(), new FakeHearer()]
    chronicle.hear(first, ALL_QUEUES, 255)
    note('a')
    note('b')
    chronicle.turnEnded()
    chronicle.hear(second, 'q', EventKind.pushed)
    expect(second.position).toMatchObject({ stream: { worker: 3 }, floor: 0, head: 2 })
    note('c')
    chronicle.turnEnded()
    chronicle.turnEnded()
    expect(first.seen).toEqual(['1 q a', '2 q b', '3 q c'])
    expect(second.seen).toEqual(first.seen)
  })

  it('asks for nothing while nobody hears, and goes on for a while after the last', () => {
    const hearer = new FakeHearer()
    chronicle.hear(hearer, 'a', EventKind.pushed)
    chronicle.hear(hearer, 'a', EventKind.pushed | EventKind.failed)
    expect(asked.get('a')).toBe(EventKind.pushed | EventKind.failed)
    note('kept', 'a')
    chronicle.forget(hearer)
    passMs(limits.eventLingerMs - 10_000)
    expect(asked.get('a')).toBe(EventKind.pushed | EventKind.failed)
    const back = new FakeHearer()
    chronicle.hear(back, 'a', EventKind.pushed)
    chronicle.turnEnded()
    expect(back.seen).toEqual(['1 a kept'])
    chronicle.forget(back)
    passMs(limits.eventLingerMs + 10_000)
    expect(asked.get('a')).toBe(0)
    // What comes then is another stream.
    const later = new FakeHearer()
    chronicle.hear(later, 'a', EventKind.pushed)
    expect(later.position).toMatchObject({ floor: 0, head: 0, isComplete: true })
    expect(later.position?.stream.beganMs).toBeGreaterThan(back.position?.stream.beganMs ?? 0)
  })

  it('says where less was asked for: nobody goes on from before', () => {
    const [all, one] = [new FakeHearer(), new FakeHearer()]
    chronicle.hear(all, ALL_QUEUES, 255)
    chronicle.hear(one, 'q', 255)
    note('a')
    chronicle.turnEnded()
    chronicle.forget(all)
    passMs(limits.eventLingerMs + 10_000)
    chronicle.turnEnded()
    expect(one.seen).toEqual(['1 q a', 'broken at 2'])
    const back = new FakeHearer()
    chronicle.hear(back, ALL_QUEUES, 255)
    expect(back.position).toMatchObject({ floor: 1, head: 2 })
  })

  it('keeps so many events and bytes, and tells a hearer that is further behind how many it missed', () => {
    const [quick, slow] = [new FakeHearer(), new FakeHearer()]
    chronicle.hear(quick, ALL_QUEUES, 255)
    chronicle.hear(slow, ALL_QUEUES, 255)
    slow.hasRoom = false
    const large = Buffer.alloc(limits.eventRingBytesMax / 4)
    for (let i = 0; i < 10; i++) {
      chronicle.note(EventKind.pushed, 'q', large)
      chronicle.turnEnded()
    }
    expect(quick.seen).toHaveLength(10)
    slow.hasRoom = true
    chronicle.turnEnded()
    expect(slow.seen[0]).toBe('skipped 6 up to 6')
    expect(slow.seen).toHaveLength(5)
  })

  it('counts what is more than it may tell', () => {
    const hearer = new FakeHearer()
    chronicle.hear(hearer, ALL_QUEUES, 255)
    const count = limits.eventBurstMax + 500
    expect(chronicle.admit(count, nowMs)).toBe(limits.eventBurstMax)
    chronicle.leaveOut(500)
    chronicle.turnEnded()
    expect(hearer.seen).toEqual(['skipped 500 up to 500'])
    expect(chronicle.admit(1, nowMs)).toBe(0)
    nowMs += 10
    expect(chronicle.admit(count, nowMs)).toBe(limits.eventsPerSecondMax / 100)
  })

  it('notes nothing more when nobody can keep up, and says so when somebody can', () => {
    const hearer = new FakeHearer()
    chronicle.hear(hearer, ALL_QUEUES, 255)
    hearer.hasRoom = false
    for (let i = 0; i <= limits.eventLagMax; i++) note('x')
    chronicle.turnEnded()
    expect(chronicle.admit(10, nowMs)).toBe(0)
    chronicle.leaveOut(10)
    chronicle.turnEnded()
    expect(hearer.seen).toEqual([])
    hearer.hasRoom = true
    chronicle.turnEnded()
    expect(hearer.seen).toHaveLength(limits.eventLagMax + 2)
    expect(hearer.seen.at(-1)).toBe(`skipped 10 up to ${limits.eventLagMax + 11}`)
    expect(chronicle.admit(10, nowMs)).toBe(10)
  })

  it('of a worker that comes while others hear is complete from its first event', () => {
    chronicle.serving(true)
    expect(asked.get(ALL_QUEUES)).toBe(255)
    note('early')
    const hearer = new FakeHearer()
    chronicle.hear(hearer, 'q', EventKind.pushed)
    expect(hearer.position).toMatchObject({ floor: 0, isComplete: true })
    chronicle.turnEnded()
    expect(hearer.seen).toEqual(['1 q early'])
  })

  it('of a worker that has served unheard is not', () => {
    chronicle.serving(false)
    const hearer = new FakeHearer()
    chronicle.hear(hearer, 'q', EventKind.pushed)
    expect(hearer.position).toMatchObject({ isComplete: false })
  })

  it('ends when everybody has everything', () => {
    const [quick, slow] = [new FakeHearer(), new FakeHearer()]
    chronicle.hear(quick, ALL_QUEUES, 255)
    chronicle.hear(slow, ALL_QUEUES, 255)
    slow.hasRoom = false
    note('last')
    chronicle.end()
    expect(quick.seen).toEqual(['1 q last', 'over'])
    expect(slow.seen).toEqual([])
    // Who is behind, or comes now, is told as soon as it has everything; nobody is told twice.
    const late = new FakeHearer()
    chronicle.hear(late, ALL_QUEUES, 255)
    slow.hasRoom = true
    chronicle.turnEnded()
    chronicle.end()
    for (const { seen } of [quick, slow, late]) expect(seen).toEqual(['1 q last', 'over'])
  })
})
