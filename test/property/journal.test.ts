// A journal whose storage answers as it likes, against the plain list of what was appended.
//
// More of them: FLASHQ_JOURNAL_RUNS=20000 npx vitest run test/property/journal.test.ts

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Backlog } from '../../src/storage/backlog.ts'
import { Journal } from '../../src/storage/journal.ts'
import { bytesInBatch, HEADER_BYTES } from '../../src/storage/record-batch.ts'
import { AppendDesk, type Outcome, recordsOf } from '../support/append-desk.ts'
import { ManualDelay } from '../support/manual-delay.ts'

const RUNS = Number(process.env['FLASHQ_JOURNAL_RUNS'] ?? 300)
const FIRST_POSITION = 8
/** In a batch: not 0 when it is packed. */
const FLAGS_AT = 9
/** Records are so many times as long as a step says: short ones are stored as they are, long ones are packed. */
const SCALES = [1, 40]

type Step =
  | { readonly do: 'append'; readonly sizes: readonly number[]; readonly bad: number }
  | { readonly do: 'settle'; readonly outcome: Outcome }
  | { readonly do: 'flush' | 'wait' | 'rotate' | 'drain' }
  | { readonly do: 'stop' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      sizes: fc.array(fc.oneof(fc.nat(12), fc.nat(130)), { minLength: 1, maxLength: 8 }),
      bad: fc.nat(150),
    }),
  },
  { weight: 5, arbitrary: fc.constant({ do: 'flush' as const }) },
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      outcome: fc.oneof(
        { weight: 12, arbitrary: fc.constant<Outcome>('durable') },
        { weight: 3, arbitrary: fc.constantFrom<Outcome>('lost', 'lost-reply') },
        { weight: 1, arbitrary: fc.constant<Outcome>('refused') },
      ),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ do: 'wait' as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'rotate' as const }, { do: 'drain' as const }) },
)

/** Mostly the journal ends by itself, if at all. */
const end: fc.Arbitrary<readonly Step[]> = fc.oneof(
  { weight: 4, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.constant([{ do: 'stop' as const }]) },
  { weight: 1, arbitrary: fc.constant([{ do: 'settle' as const, outcome: 'fenced' as const }]) },
)

class Run {
  readonly desk = new AppendDesk()
  readonly time = new ManualDelay()
  readonly backlog = new Backlog(1e9)
  readonly journal: Journal
  readonly appended: string[] = []
  readonly told: string[] = []
  /** What each drain should have resolved to, and has. */
  readonly drains: { mark: number; isDurable: boolean | null }[] = []
  private isUnknown = false
  /** Storage has refused what there is nothing wrong with, as when a right was taken away. */
  private isRefusedForNothing = false
  /** By attempt that is settled: nobody knows whether it happened. */
  private readonly wasLost: boolean[] = []
  private side = 0
  private readonly scale: number
  private readonly batchBytesMax: number

  constructor(scale: number) {
    this.scale = scale
    this.batchBytesMax = HEADER_BYTES + 100 * scale
    const tell = (what: string) => () => void this.told.push(what)
    this.journal = new Journal({
      claim: { shard: 1, epoch: 1 },
      storage: this.desk,
      loaded: { position: FIRST_POSITION - 1, side: 0, journalBytes: 0 },
      backlog: this.backlog,
      delay: this.time.delay,
      random: () => 0.3,
      batchBytesMax: this.batchBytesMax,
      listener: {
        durable: tell('durable'),
        ended: () => undefined,
        stalled: tell('stalled'),
        resumed: tell('resumed'),
        fenced: tell('fenced'),
        failed: (_shard, _fault, isFound) => this.told.push(isFound ? 'found' : 'failed'),
      },
    })
  }

  async play(step: Step): Promise<void> {
    const { journal, desk } = this
    switch (step.do) {
      case 'append':
        for (const size of step.sizes) {
          // `r` is the kind of no record.
          const text = `r${this.appended.length}:${step.bad === size ? '!' : ''}`.padEnd(
            size * this.scale,
            '.',
          )
          this.appended.push(text)
          journal.append(Buffer.from(text))
        }
        break
      case 'flush':
        journal.flush()
        break
      case 'settle':
        if (desk.batch !== null) await this.settle(step.outcome)
        break
      case 'wait':
        this.time.pass()
        break
      case 'rotate':
        this.side = 1 - this.side
        journal.rotate(this.side)
        break
      case 'drain':
        this.drain()
        break
      case 'stop':
        void journal.stop()
        break
    }
    this.check()
  }

  drain(): void {
    const drain: { mark: number; isDurable: boolean | null } = {
      mark: this.journal.mark,
      isDurable: null,
    }
    this.drains.push(drain)
    void this.journal.drained().then((isDurable) => {
      drain.isDurable = isDurable
    })
  }

  /** As storage would: what cannot be stored is refused, also when the answer to that is lost. */
  async settle(wanted: Outcome): Promise<void> {
    const { desk } = this
    const isBad = recordsOf(desk.batch?.bytes as Buffer).some((record) => record.includes('!'))
    if (wanted === 'refused' && !isBad) this.isRefusedForNothing = true
    const refused = wanted === 'lost-reply' ? 'lost' : 'refused'
    const outcome = isBad && wanted !== 'fenced' && wanted !== 'lost' ? refused : wanted
    const isLost = outcome === 'lost' || outcome === 'lost-reply'
    this.isUnknown = isLost || (this.isUnknown && outcome !== 'durable')
    this.wasLost.push(isLost)
    await desk.settle(outcome)
  }

  check(): void {
    const { journal, desk, backlog, appended } = this
    const stored = desk.records()
    expect(stored).toEqual(appended.slice(0, stored.length))
    expect(journal.mark).toBe(appended.length)
    expect(journal.durableMark).toBeLessThanOrEqual(stored.length)
    if (!this.isUnknown) expect(journal.durableMark).toBe(stored.length)
    expect([...desk.stored.keys()]).toEqual(
      Array.from({ length: desk.stored.size }, (_, i) => FIRST_POSITION + i),
    )
    expect(backlog.bytes).toBe(journal.pendingBytes)
    if (!journal.isEnded) expect(journal.pendingBytes).toBe(this.bytesBehind(journal.durableMark))
    else if (desk.batch === null) expect(journal.pendingBytes).toBe(0)
    this.checkAttempts()
    this.checkTold()
  }

  /** Small enough, and a repeated one is the same. */
  private checkAttempts(): void {
    const { attempts } = this.desk
    for (const [i, attempt] of attempts.entries()) {
      expect(attempt.count === 1 || attempt.bytes.length <= this.batchBytesMax).toBe(true)
      const next = attempts[i + 1]
      if (next === undefined || this.wasLost[i] !== true) continue
      expect([next.position, next.side]).toEqual([attempt.position, attempt.side])
      expect(next.bytes.equals(attempt.bytes)).toBe(true)
    }
  }

  private checkTold(): void {
    const stalls = this.told.filter((each) => each === 'stalled' || each === 'resumed')
    stalls.forEach((each, i) => {
      expect(each).toBe(i % 2 === 0 ? 'stalled' : 'resumed')
    })
    const ends = this.told.filter((each) => ['fenced', 'found', 'failed'].includes(each))
    expect(ends.length).toBeLessThanOrEqual(1)
    if (ends.length === 1) expect(this.journal.isEnded).toBe(true)
  }

  private bytesBehind(mark: number): number {
    const behind = this.appended.slice(mark)
    return behind.reduce((sum, record) => sum + bytesInBatch(Buffer.from(record)), 0)
  }

  /** From now on storage answers at once. */
  async finish(): Promise<void> {
    this.drain()
    while (this.desk.batch !== null || this.time.count > 0) {
      this.time.pass()
      await this.settle('durable')
      this.check()
    }
  }

  checkEnd(): void {
    const { journal, desk, appended } = this
    const firstBad = appended.findIndex((record) => record.includes('!'))
    const stored = desk.records()
    if (!journal.isEnded) {
      expect(firstBad).toBe(-1)
      expect(stored).toEqual(appended)
    }
    if (this.told.includes('found')) {
      expect(journal.durableMark).toBe(stored.length)
      if (!this.isRefusedForNothing) expect(stored.length).toBe(firstBad)
    }
    if (firstBad >= 0) expect(stored.length).toBeLessThanOrEqual(firstBad)
    for (const { mark, isDurable } of this.drains)
      expect(isDurable).toBe(journal.durableMark >= mark)
  }
}

it.each(SCALES)(
  'a journal stores what was appended, in order, once, whatever storage does (× %i)',
  async (scale) => {
    const seen = new Set<string>()
    let packed = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), end, async (steps, last) => {
        const run = new Run(scale)
        for (const each of [...steps, ...last]) await run.play(each)
        await run.finish()
        run.checkEnd()
        for (const each of run.told) seen.add(each)
        packed += run.desk.attempts.filter(({ bytes }) => bytes[FLAGS_AT] !== 0).length
      }),
      { numRuns: RUNS },
    )
    const all = ['durable', 'stalled', 'resumed', 'fenced', 'found', 'failed']
    expect([...seen].sort()).toEqual(all.sort())
    expect(packed > RUNS).toBe(scale > 1)
  },
  3_600_000,
)
