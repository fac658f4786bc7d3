import { describeFault } from '../../errors.ts'
import type { FlashQ } from '../../node-flashq.ts'
import { pause } from '../../pause.ts'
import type { CliCommand, CliContext } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { type Key, Screen } from '../screen.ts'
import { type Snapshot, SORTS, type Sort, TopModel } from '../top-model.ts'
import { FRAME_LINES, plainTop, topLines } from '../top-view.ts'

const INTERVAL_MS = 1000
const INTERVAL_MS_MIN = 100

export const top: CliCommand = {
  name: 'top',
  words: [],
  about: 'the queues, live: depth, rates, active jobs, dead letters',
  detail:
    'Keys: q quits, p pauses, s sorts by the next column, up and down scroll. Where there is no terminal, one table.',
  flags: [
    { name: 'interval', short: 'i', kind: 'duration', value: 'TIME', about: 'default 1s' },
    { name: 'sort', kind: 'text', value: 'COLUMN', about: SORTS.join(', '), choices: SORTS },
  ],
  json: '`{"at","stats","rates":{"pushed","completed","failed"},"queues":[…]}`, measured over one interval',
  async run(context) {
    const { io, out, flags } = context
    const intervalMs = Math.max(INTERVAL_MS_MIN, flags.duration('interval') ?? INTERVAL_MS)
    const client = await context.client()
    if (!out.json && out.isTerminal && io.stdin.isTTY === true) {
      await new LiveTop(context, client, intervalMs).run()
    } else {
      await once(context, client, intervalMs)
    }
    return EXIT.ok
  },
}

async function once({ io, out }: CliContext, client: FlashQ, intervalMs: number): Promise<void> {
  const model = new TopModel()
  model.add(await look(client))
  await pause(intervalMs, io.signal)
  const newest = await look(client)
  model.add(newest)
  if (out.json) {
    out.document({
      at: Date.now(),
      stats: newest.stats,
      rates: model.totals(),
      queues: model.rows('name'),
    })
  } else {
    for (const line of plainTop(model)) out.line(line)
  }
}

async function look(client: FlashQ): Promise<Snapshot> {
  const [queues, stats, metrics] = await Promise.all([
    client.listQueues(),
    client.stats(),
    client.metrics(),
  ])
  return { atMs: performance.now(), queues, stats, metrics }
}

class LiveTop {
  readonly #context: CliContext
  readonly #client: FlashQ
  readonly #intervalMs: number
  readonly #model = new TopModel()
  readonly #screen: Screen
  readonly #left = new AbortController()
  #sort: Sort
  #paused = false
  #scroll = 0
  #fault: string | null = null

  constructor(context: CliContext, client: FlashQ, intervalMs: number) {
    this.#context = context
    this.#client = client
    this.#intervalMs = intervalMs
    this.#sort = SORTS.find((sort) => sort === context.flags.text('sort')) ?? 'name'
    this.#screen = new Screen(
      context.io,
      (key) => this.#press(key),
      () => this.#draw(),
    )
  }

  /** Until `q`, or a signal. */
  async run(): Promise<void> {
    const { signal } = this.#context.io
    const leave = (): void => this.#left.abort()
    signal.addEventListener('abort', leave, { once: true })
    this.#screen.open()
    try {
      while (!signal.aborted && !this.#left.signal.aborted) {
        if (!this.#paused) await this.#refresh()
        this.#draw()
        await pause(this.#intervalMs, this.#left.signal).catch(() => {})
      }
    } finally {
      signal.removeEventListener('abort', leave)
      this.#screen.close()
    }
  }

  /** While the server does not answer, the last numbers stand. */
  async #refresh(): Promise<void> {
    try {
      this.#model.add(await look(this.#client))
      this.#fault = null
    } catch (error) {
      this.#fault = `${describeFault(error)}; trying again`
    }
  }

  #press(key: Key): void {
    const queues = this.#model.newest?.queues.length ?? 0
    const page = Math.max(1, this.#screen.rows - FRAME_LINES)
    if (key === 'q' || key === 'interrupt') this.#left.abort()
    else if (key === 'p' || key === ' ') this.#paused = !this.#paused
    else if (key === 's')
      this.#sort = SORTS[(SORTS.indexOf(this.#sort) + 1) % SORTS.length] ?? 'name'
    else if (key === 'down' || key === 'j') this.#scroll += 1
    else if (key === 'up' || key === 'k') this.#scroll -= 1
    else if (key === 'pagedown') this.#scroll += page
    else if (key === 'pageup') this.#scroll -= page
    this.#scroll = Math.max(0, Math.min(this.#scroll, queues - page))
    this.#draw()
  }

  #draw(): void {
    const { io, out, flags } = this.#context
    this.#screen.draw(
      topLines(this.#model, {
        columns: this.#screen.columns,
        rows: this.#screen.rows,
        sort: this.#sort,
        paused: this.#paused,
        scroll: this.#scroll,
        fault: this.#fault,
        server: shownUrl(flags.text('url') ?? io.env['FLASHQ_URL'] ?? ''),
        clock: new Date().toLocaleTimeString('en-GB'),
        bold: (text) => out.style('bold', text),
        red: (text) => out.style('red', text),
      }),
    )
  }
}

/** Without its token. */
function shownUrl(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//')
}
