import { describe, expect, it } from 'vitest'
import { HeldEvents } from '../../../src/cluster/held-events.ts'
import { type DurableLog, EventKind } from '../../../src/engine/ports.ts'
import { EventHub } from '../../../src/transports/events/hub.ts'
import { FakeJobSource } from '../../support/job-source.ts'

describe('events of a shard whose records are kept', () => {
  it('are heard when they are durable, as they were when they happened', () => {
    const hub = new EventHub()
    const heard: string[] = []
    hub.subscribe('q', EventKind.pushed, { event: (line) => void heard.push(line.toString()) })
    const letters: (() => void)[] = []
    const log: DurableLog = {
      mark: 1,
      durableMark: 0,
      append: () => undefined,
      flush: () => undefined,
    }
    const held = new HeldEvents(hub, log, { letter: (_, send) => void letters.push(send) })
    expect(held.listening).toBe(true)
    expect(held.wants('q', EventKind.failed)).toBe(false)
    const source = new FakeJobSource()
    const seq = source.add({ queue: 'q', data: '{"n":1}' })
    held.event(EventKind.pushed, source, seq, 5, null)
    held.event(EventKind.pushed, source, seq, 6, null)
    expect(heard).toEqual([])
    for (const send of letters) send()
    expect(heard.map((line) => JSON.parse(line).timestamp)).toEqual([5, 6])
    expect(heard[0]).toContain('"data":{"n":1}')
  })
})
