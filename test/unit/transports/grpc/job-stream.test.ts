// A stream of jobs against a gate without shards: credit, flow control, ends.

import { describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import type { Refusal } from '../../../../src/engine/refusal.ts'
import { refusals } from '../../../../src/engine/refusal.ts'
import { Caller } from '../../../../src/transports/caller.ts'
import { Consumers } from '../../../../src/transports/consumers/consumers.ts'
import { Deliveries } from '../../../../src/transports/grpc/deliveries.ts'
import type { Introduction } from '../../../../src/transports/grpc/introduction.ts'
import { JobStream, prefetchOf } from '../../../../src/transports/grpc/job-stream.ts'
import { Job } from '../../../../src/transports/grpc/messages.ts'
import { readRequest } from '../../../../src/transports/grpc/request-frame.ts'
import { Sessions } from '../../../../src/transports/sessions.ts'
import { CapturedLog } from '../../../support/captured-log.ts'
import { FakeGate } from '../../../support/fake-gate.ts'
import { ManualDelay } from '../../../support/manual-delay.ts'

const QUEUE = 'q'
const NOW_MS = 1_700_000_000_000
const nobody = { name: null, host: null, version: null, concurrency: 0, address: '10.0.0.1' }
const FIRST_ID = 1000 * 32 + 5
const idAt = (i: number): number => FIRST_ID + i * 32

class Bench {
  readonly gate = new FakeGate()
  readonly time = new ManualDelay()
  readonly deliveries = new Deliveries()
  readonly log = new CapturedLog()
  readonly consumers = new Consumers({ nowMs: () => NOW_MS })
  readonly written: Buffer[] = []
  /** Writes that flow control has not let pass. */
  readonly passing: (() => void)[] = []
  readonly ends: (Refusal | null)[] = []
  isReading = true
  readonly stream: JobStream

  constructor(terms: { batch: number; prefetch: number }, who: Introduction = nobody) {
    const caller = new Caller(this.gate, new Sessions({ worker: 0, incarnation: 1 }))
    const { deliveries, log, consumers } = this
    const services = { caller, deliveries, delay: this.time.delay, log, consumers }
    this.stream = new JobStream(
      services,
      { queue: QUEUE, ...terms, who },
      {
        write: (message, done) => {
          this.written.push(message)
          if (this.isReading) done()
          else this.passing.push(done)
        },
        end: (refusal) => this.ends.push(refusal),
      },
    )
    this.gate.held.add('HEARTBEAT')
  }

  /** Serves the pull that waits with so many jobs. */
  async serve(count: number, data = '1'): Promise<void> {
    await this.gate.until(() => this.pull() !== undefined)
    this.gate.serve(
      Array<string>(count).fill(data),
      this.gate.waiting.indexOf(this.pull() as never),
    )
    await settled()
  }

  pull(): FakeGate['waiting'][number] | undefined {
    return this.gate.waiting.find(({ op }) => op === 'PULLB')
  }

  /** The counts of all pulls so far. */
  counts(): number[] {
    return this.framesOf('PULLB').map((frame) => (frame as { count: number }).count)
  }

  framesOf(op: string): unknown[] {
    return this.gate.frames
      .map((frame) => JSON.parse(frame) as { cmd: string })
      .filter(({ cmd }) => cmd === op)
  }
}

/** What was answered has been dealt with. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('a stream of jobs', () => {
  it('takes as many as are asked for and as credit is left, of its own session', async () => {
    const bench = new Bench({ batch: 4, prefetch: 6 })
    bench.stream.start()
    expect(bench.framesOf('PULLB')).toEqual([
      { cmd: 'PULLB', queue: QUEUE, count: 4, token: true, release_on_close: true },
    ])
    await bench.serve(3)
    expect(bench.counts()).toEqual([4, 3])
    await bench.serve(3)
    expect(bench.counts()).toEqual([4, 3])
    expect(bench.written.map((message) => readRequest(Job, message)?.['id'])).toEqual(
      [0, 1, 2, 3, 4, 5].map(idAt),
    )
    // A batch that was acknowledged makes one pull.
    bench.deliveries.ended(idAt(2), true)
    bench.deliveries.ended(idAt(3), true)
    await settled()
    expect(bench.counts()).toEqual([4, 3, 2])
    bench.deliveries.ended(idAt(2), true)
    bench.deliveries.ended(999, true)
    await settled()
    expect(bench.counts()).toEqual([4, 3, 2])
  })

  it('takes none while what it has sent has not passed', async () => {
    const bench = new Bench({ batch: 2, prefetch: 10 })
    bench.isReading = false
    bench.stream.start()
    await bench.serve(2)
    expect(bench.written).toHaveLength(2)
    bench.deliveries.ended(idAt(0), true)
    bench.passing[0]?.()
    await settled()
    expect(bench.counts()).toEqual([2])
    bench.passing[1]?.()
    expect(bench.counts()).toEqual([2, 2])
  })

  it('without credit asks after a while which jobs are still out, and takes what is free', async () => {
    const bench = new Bench({ batch: 5, prefetch: 3 })
    bench.stream.start()
    await bench.serve(3)
    expect(bench.time.asked).toEqual([limits.grpcCreditCheckMs])
    bench.time.pass()
    expect(bench.framesOf('HEARTBEAT')).toEqual([
      { cmd: 'HEARTBEAT', ids: [0, 1, 2].map(idAt), tokens: [1, 2, 3] },
    ])
    const [check] = bench.gate.waiting.splice(0)
    check?.reply.counted(1, [
      { index: 0, refusal: refusals.staleToken(idAt(0)) },
      { index: 1, refusal: refusals.unavailable },
      { index: 2, refusal: refusals.jobNotActive(idAt(2)) },
    ])
    await settled()
    expect(bench.counts()).toEqual([3, 2])
    expect(bench.deliveries.size).toBe(1)
  })

  it('asks again when nothing was free, and no more when it is over', async () => {
    const bench = new Bench({ batch: 1, prefetch: 1 })
    bench.stream.start()
    await bench.serve(1)
    bench.time.pass()
    bench.gate.waiting.splice(0)[0]?.reply.counted(1, [])
    await settled()
    expect(bench.time.count).toBe(1)
    bench.stream.close()
    expect(bench.time.count).toBe(0)
    expect(bench.deliveries.size).toBe(0)
    expect(bench.gate.closed).toHaveLength(1)
  })

  it('gives back what does not fit into the longest message', async () => {
    const bench = new Bench({ batch: 10, prefetch: 10 })
    bench.stream.start()
    await bench.serve(7, JSON.stringify('x'.repeat(900_000)))
    expect(bench.written).toHaveLength(4)
    expect(bench.gate.givenBack).toEqual([
      { shard: 5, seqs: new Float64Array([1004, 1005, 1006]), firstToken: 5 },
    ])
    expect(bench.counts()).toEqual([10, 6])
  })

  it('that was ended by its peer or by the server takes and writes nothing more', async () => {
    const bench = new Bench({ batch: 1, prefetch: 5 })
    bench.stream.start()
    bench.stream.end(refusals.draining)
    bench.stream.end(null)
    bench.stream.close()
    expect(bench.ends).toEqual([refusals.draining])
    expect(bench.gate.closed).toHaveLength(1)
    // The shard had not heard of the end yet.
    bench.gate.serve(['1'])
    await settled()
    expect(bench.written).toEqual([])
    expect(bench.gate.givenBack).toHaveLength(1)
  })

  it('ends with what its pull is refused for', async () => {
    const bench = new Bench({ batch: 1, prefetch: 5 })
    bench.stream.start()
    bench.gate.waiting.splice(0)[0]?.reply.refused(refusals.tooManyWaiting)
    await settled()
    expect(bench.ends).toEqual([refusals.tooManyWaiting])
  })

  it('that is to finish gives new jobs back, and ends when nothing is out', async () => {
    const bench = new Bench({ batch: 1, prefetch: 5 })
    bench.stream.start()
    await bench.serve(1)
    bench.stream.finish()
    await bench.serve(1)
    expect(bench.gate.givenBack).toHaveLength(1)
    expect(bench.written).toHaveLength(1)
    expect(bench.ends).toEqual([])
    bench.stream.settle({ id: idAt(0), success: true, result: undefined, error: undefined })
    await settled()
    expect(bench.ends).toEqual([null])
  })

  it('that is to finish and has nothing out ends at once', () => {
    const bench = new Bench({ batch: 1, prefetch: 5 })
    bench.stream.start()
    bench.stream.finish()
    expect(bench.ends).toEqual([null])
    expect(bench.gate.closed).toHaveLength(1)
  })

  describe('with outcomes', () => {
    async function withOneOut(): Promise<Bench> {
      const bench = new Bench({ batch: 1, prefetch: 1 })
      bench.gate.held.add('ACK')
      bench.gate.held.add('FAIL')
      bench.stream.start()
      await bench.serve(1)
      return bench
    }
    const good = { id: idAt(0), success: true, result: Buffer.from('{"a":1}'), error: undefined }

    it('tells them once, with the token, and takes the next when the shard knows', async () => {
      const bench = await withOneOut()
      bench.stream.settle(good)
      bench.stream.settle(good)
      bench.stream.settle({ ...good, id: 5 })
      expect(bench.framesOf('ACK')).toEqual([
        { cmd: 'ACK', id: idAt(0), result: { a: 1 }, token: 1 },
      ])
      expect(bench.counts()).toEqual([1])
      bench.gate.waiting.splice(0)[0]?.reply.ok()
      await settled()
      expect(bench.counts()).toEqual([1, 1])
    })

    it('drops a result that is no JSON', async () => {
      const bench = await withOneOut()
      bench.stream.settle({ ...good, result: Buffer.from('1,"token":9') })
      expect(bench.framesOf('ACK')).toEqual([{ cmd: 'ACK', id: idAt(0), token: 1 }])
    })

    it('fails a job whose result cannot be kept', async () => {
      const bench = await withOneOut()
      bench.stream.settle(good)
      bench.gate.waiting.splice(0)[0]?.reply.refused(refusals.resultTooLarge(9, 8))
      await settled()
      const error = 'Result too large (9 bytes, max 8 bytes)'
      expect(bench.framesOf('FAIL')).toEqual([{ cmd: 'FAIL', id: idAt(0), error, token: 1 }])
      bench.gate.waiting.splice(0)[0]?.reply.ok()
      await settled()
      expect(bench.counts()).toEqual([1, 1])
    })

    it('goes on when the job is no longer its own', async () => {
      const bench = await withOneOut()
      bench.stream.settle({ ...good, success: false, result: undefined, error: 'no' })
      expect(bench.framesOf('FAIL')).toEqual([{ cmd: 'FAIL', id: idAt(0), error: 'no', token: 1 }])
      bench.gate.waiting.splice(0)[0]?.reply.refused(refusals.staleToken(idAt(0)))
      await settled()
      expect(bench.counts()).toEqual([1, 1])
    })

    it('ends when the shard cannot be told', async () => {
      const bench = await withOneOut()
      bench.stream.settle(good)
      bench.gate.waiting.splice(0)[0]?.reply.refused(refusals.unavailable)
      await settled()
      expect(bench.ends).toEqual([refusals.unavailable])
    })
  })

  it('is a consumer from its beginning to its end, with what it was given and has completed', async () => {
    const who = { ...nobody, name: 'mailer', host: 'here', version: '1.2', concurrency: 3 }
    const bench = new Bench({ batch: 3, prefetch: 3 }, who)
    const info = {
      ...{ id: 'mailer', queues: [QUEUE], host: 'here', version: '1.2', concurrency: 3 },
      ...{ address: '10.0.0.1', last_heartbeat: NOW_MS, connections: 1, door: 'grpc' },
    }
    bench.stream.start()
    expect(bench.consumers.list()).toEqual([{ ...info, active: 0, jobs_processed: 0 }])
    await bench.serve(3)
    expect(bench.consumers.list()).toEqual([{ ...info, active: 3, jobs_processed: 0 }])
    bench.deliveries.ended(idAt(0), true)
    bench.deliveries.ended(idAt(0), true)
    bench.deliveries.ended(idAt(1), false)
    expect(bench.consumers.list()).toEqual([{ ...info, active: 1, jobs_processed: 1 }])
    bench.stream.close()
    expect(bench.consumers.list()).toEqual([])
  })

  it('that has no name is listed under the number of its session', () => {
    const bench = new Bench({ batch: 1, prefetch: 1 })
    expect(bench.consumers.list()).toMatchObject([{ id: expect.stringMatching(/^grpc-\d+$/) }])
    bench.stream.close()
  })

  it('has a prefetch within bounds', () => {
    expect([0, 1, 1000, 1001, 4_294_967_295].map(prefetchOf)).toEqual([32, 1, 1000, 1000, 1000])
  })
})
