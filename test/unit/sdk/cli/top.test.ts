import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { widthOf } from '../../../../sdk/typescript/src/cli/plain-text.ts'
import { type Snapshot, TopModel } from '../../../../sdk/typescript/src/cli/top-model.ts'
import { topLines } from '../../../../sdk/typescript/src/cli/top-view.ts'
import { FakeServer, type Frame } from '../fake-server.ts'
import { CliWorld } from './cli-world.ts'

function queue(name: string, pending: number, more: object = {}): Snapshot['queues'][number] {
  return {
    name,
    pending,
    processing: 0,
    dlq: 0,
    paused: false,
    rate_limit: null,
    concurrency_limit: null,
    ...more,
  }
}

function snapshot(atMs: number, pushed: number, ...queues: Snapshot['queues'][number][]): Snapshot {
  const metrics = {
    total_pushed: pushed,
    total_completed: 0,
    total_failed: 0,
    jobs_per_second: 0,
    avg_latency_ms: 0,
    queues: [],
  }
  return { atMs, queues, metrics, stats: { queued: 1, processing: 2, delayed: 3, dlq: 4 } }
}

const LOOK = {
  columns: 60,
  rows: 10,
  sort: 'name' as const,
  paused: false,
  scroll: 0,
  fault: null,
  server: 'flashq://h',
  clock: '12:00:00',
  bold: (text: string) => text,
  red: (text: string) => text,
}

describe('what top knows', () => {
  it('has no rates before there are two looks', () => {
    const model = new TopModel()
    expect(model.totals()).toEqual({ pushed: null, completed: null, failed: null })
    model.add(snapshot(0, 0, queue('a', 1)))
    expect(model.rows('name')).toMatchObject([{ name: 'a', growth: null }])
  })

  it('has rates over the last looks, and growth by queue', () => {
    const model = new TopModel()
    for (let second = 0; second < 10; second += 1) {
      model.add(
        snapshot(second * 1000, second * 50, queue('a', 100 - second), queue(`new${second}`, 1)),
      )
    }
    expect(model.totals().pushed).toBe(50)
    expect(model.rows('name')).toMatchObject([
      { name: 'a', growth: -1 },
      { name: 'new9', growth: null },
    ])
  })

  it('begins anew when the server was started again', () => {
    const model = new TopModel()
    model.add(snapshot(0, 500))
    model.add(snapshot(1000, 10))
    expect(model.totals().pushed).toBeNull()
  })

  it('is sorted as asked, names among equals', () => {
    const model = new TopModel()
    model.add(snapshot(0, 0, queue('c', 1), queue('a', 1), queue('b', 9, { dlq: 1 })))
    const names = (sort: 'name' | 'pending' | 'dlq'): string[] =>
      model.rows(sort).map(({ name }) => name)
    expect(names('name')).toEqual(['a', 'b', 'c'])
    expect(names('pending')).toEqual(['b', 'a', 'c'])
    expect(names('dlq')).toEqual(['b', 'a', 'c'])
  })
})

describe('the picture of top', () => {
  it('has as many lines as the screen, none too wide, whatever a queue is called', () => {
    const model = new TopModel()
    const names = ['x'.repeat(200), '\u001b[2J', '漢字'.repeat(40)]
    model.add(snapshot(0, 0, ...names.map((name) => queue(name, 1))))
    for (const columns of [10, 40, 80, 200]) {
      for (const rows of [3, 6, 24]) {
        const lines = topLines(model, { ...LOOK, columns, rows })
        expect(lines).toHaveLength(rows)
        for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns)
        expect(lines.join('')).not.toContain('\u001b')
      }
    }
  })

  it('shows a part of many queues, and which', () => {
    const model = new TopModel()
    model.add(snapshot(0, 0, ...Array.from({ length: 20 }, (_, n) => queue(`q${10 + n}`, n))))
    const lines = topLines(model, { ...LOOK, columns: 80, scroll: 3 })
    expect(
      lines
        .filter((line) => line.startsWith('q'))
        .slice(0, 5)
        .map((line) => line.slice(0, 3)),
    ).toEqual(['q13', 'q14', 'q15', 'q16', 'q17'])
    expect(lines.at(-1)).toContain('4-8 of 20')
  })

  it('says that its numbers are old', () => {
    const lines = topLines(new TopModel(), { ...LOOK, fault: 'gone' })
    expect(lines[1]).toBe('gone')
  })
})

describe('top on a terminal', () => {
  let server: FakeServer

  beforeEach(async () => {
    server = await new FakeServer().start()
    server.script = ({ cmd }: Frame) => {
      if (cmd === 'LISTQUEUES') return { queues: [queue('mail', 5), queue('work', 7)] }
      if (cmd === 'METRICS') return { metrics: snapshot(0, 0).metrics }
      return cmd === 'STATS' ? snapshot(0, 0).stats : undefined
    }
  })

  afterEach(() => server.stop())

  function terminal(): CliWorld {
    const env = { FLASHQ_URL: `flashq://127.0.0.1:${server.port}` }
    return new CliWorld({ env, columns: 80, rows: 12 })
  }

  it('takes the whole screen, follows its keys, and gives everything back', async () => {
    const world = terminal()
    const run = world.run('top')
    await vi.waitFor(() => expect(world.out).toContain('work'))
    expect(world.out.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true)
    expect(world.isRaw).toBe(true)
    world.stdin.write('s')
    await vi.waitFor(() => expect(world.out).toContain('sort: pending'))
    world.stdin.write('p')
    await vi.waitFor(() => expect(world.out).toContain('[paused]'))
    world.stdin.write('\u001b[Bq')
    expect((await run).code).toBe(0)
    expect(world.out.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
    expect(world.isRaw).toBe(false)
  })

  it('gives everything back at a signal, and at Ctrl-C', async () => {
    for (const leave of [
      (world: CliWorld) => world.abort.abort(),
      (world: CliWorld) => void world.stdin.write('\u0003'),
    ]) {
      const world = terminal()
      const run = world.run('top')
      await vi.waitFor(() => expect(world.out).toContain('work'))
      leave(world)
      expect((await run).code).toBe(0)
      expect(world.out.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
    }
  })

  it('goes on while the server does not answer', async () => {
    const world = terminal()
    const run = world.run('top', '--interval', '100ms')
    await vi.waitFor(() => expect(world.out).toContain('work'))
    server.script = () => ({ ok: false, error: 'No, not now', code: 'memory_full' })
    await vi.waitFor(() => expect(world.out).toContain('No, not now; trying again'))
    world.stdin.write('q')
    expect((await run).code).toBe(0)
  })
})

describe('top without a terminal', () => {
  it('is one table, or one document', async () => {
    const server = await new FakeServer().start()
    server.script = ({ cmd }: Frame) => {
      if (cmd === 'LISTQUEUES') return { queues: [queue('mail', 5)] }
      return cmd === 'METRICS' ? { metrics: snapshot(0, 0).metrics } : snapshot(0, 0).stats
    }
    const env = { FLASHQ_URL: `flashq://127.0.0.1:${server.port}` }
    const table = await new CliWorld({ env }).run('top', '-i', '100ms')
    expect(table.out).toMatch(/^waiting 1 {2}delayed 3 .*\n\nQUEUE +PENDING .*\nmail +5 /)
    const { out } = await new CliWorld({ env }).run('top', '-i', '100ms', '--json')
    expect(JSON.parse(out)).toMatchObject({
      rates: { pushed: 0 },
      queues: [{ name: 'mail', growth: 0 }],
    })
    await server.stop()
  })
})
