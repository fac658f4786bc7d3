// Jobs pushed singly to consumers that already wait in a pull: throughput as fast as it goes, or latency at a fixed rate.
//
// 1. Every job carries the time at which it *should* have been sent, so a stall of either side is in the figures of all the jobs
//    behind it (no coordinated omission). Latency is from that time to the moment the consumer has the job, in one process.
// 2. At a fixed rate the process spins with setImmediate instead of timers, which fire up to 1 ms late; what lateness
//    of its own remains is reported as `lateMs`.
// 3. Without a rate each producer awaits its reply, and all pause while `inFlightMax` jobs are neither delivered nor acknowledged.

import { setUp } from './cycle.ts'
import { type LineConnection, openLines } from './line-connection.ts'
import { percentiles } from './percentiles.ts'
import { closeAll } from './push.ts'
import { digitsAt, refusal } from './replies.ts'
import type { LoadResult, RelaySpec } from './spec.ts'
import { Window } from './window.ts'
import { type Wire, wires } from './wire.ts'

const inFlightMax = 1000
const settleMs = 5000
/** Added to the microseconds in a payload, so that they always have `stampDigits` digits. */
const stampDigits = 13
const stampBase = 1_000_000_000_000
const stampMarker = Buffer.from('{"t":')

export async function relay(spec: RelaySpec): Promise<LoadResult> {
  const wire = wires[spec.wire]
  const producers = await openLines(spec.at, spec.producers)
  const consumers = await openLines(spec.at, spec.consumers)
  const all = [...producers, ...consumers]
  await Promise.all(all.map((connection) => setUp(connection, wire, spec.queue)))
  const run = new Relay(spec, wire, producers)
  try {
    await new Promise<void>((resolve, reject) => {
      for (const connection of all) connection.onLost = reject
      run.start(consumers, resolve, reject)
    })
  } finally {
    closeAll(all)
  }
  return run.result()
}

class Relay {
  private readonly spec: RelaySpec
  private readonly wire: Wire
  private readonly producers: LineConnection[]
  private readonly window: Window
  private readonly filler: string
  private readonly latencies: number[] = []
  private readonly lateness: number[] = []
  private readonly startMs = performance.now()
  private readonly paused: LineConnection[] = []
  private sent = 0
  private acknowledged = 0
  private goesOn = true

  constructor(spec: RelaySpec, wire: Wire, producers: LineConnection[]) {
    this.spec = spec
    this.wire = wire
    this.producers = producers
    this.window = new Window(spec.warmupMs, spec.measureMs)
    const head = ',"note":"'
    this.filler = `${head}${'x'.repeat(Math.max(0, spec.dataBytes - stampMarker.length - stampDigits - head.length - 2))}"}`
  }

  start(consumers: LineConnection[], resolve: () => void, reject: (cause: Error) => void): void {
    for (const consumer of consumers) this.consume(consumer, resolve, reject)
    for (const producer of this.producers) {
      producer.onLine = (buf, from, to) => {
        if (!this.wire.isPushed(buf, from)) reject(refusal(buf, from, to))
        else if (this.spec.ratePerSecond === undefined) this.sendOrPause(producer)
      }
      if (this.spec.ratePerSecond === undefined) this.sendOrPause(producer)
    }
    if (this.spec.ratePerSecond !== undefined)
      this.sendOnSchedule(this.spec.ratePerSecond, resolve, reject)
  }

  result(): LoadResult {
    const result: LoadResult = {
      jobs: this.acknowledged,
      perSecond: this.window.perSecond(),
      latencyMs: percentiles(this.latencies),
    }
    if (this.lateness.length > 0) result.lateMs = percentiles(this.lateness)
    return result
  }

  private consume(
    connection: LineConnection,
    resolve: () => void,
    reject: (cause: Error) => void,
  ): void {
    const { wire } = this
    const pull = wire.pull(this.spec.queue)
    let acksToCome = 0
    let linesToCome = wire.linesOfPull
    let id = -1
    connection.onLine = (buf, from, to) => {
      if (acksToCome > 0) {
        if (!wire.isAcknowledged(buf, from)) return reject(refusal(buf, from, to))
        acksToCome = 0
        return this.jobDone(resolve)
      }
      if (linesToCome === wire.linesOfPull) id = wire.jobId(buf, from)
      if (id === -1) return reject(refusal(buf, from, to))
      linesToCome -= 1
      if (linesToCome > 0) return
      this.delivered(buf, from)
      linesToCome = wire.linesOfPull
      acksToCome = 1
      connection.write(Buffer.concat([wire.ack(id), pull]))
    }
    connection.write(pull)
  }

  private delivered(buf: Buffer, from: number): void {
    const nowMs = performance.now()
    const intendedMs =
      (digitsAt(buf, buf.indexOf(stampMarker, from) + stampMarker.length) - stampBase) / 1000
    if (intendedMs - this.startMs >= this.spec.warmupMs) this.latencies.push(nowMs - intendedMs)
  }

  private jobDone(resolve: () => void): void {
    this.acknowledged += 1
    this.goesOn = this.window.add(1) && this.goesOn
    const producer = this.paused.pop()
    if (!this.goesOn && this.acknowledged === this.sent) resolve()
    else if (producer !== undefined) this.sendOrPause(producer)
  }

  private sendOrPause(producer: LineConnection): void {
    if (!this.goesOn) return
    if (this.sent - this.acknowledged >= inFlightMax) this.paused.push(producer)
    else this.send(producer, performance.now())
  }

  private send(producer: LineConnection, intendedMs: number): void {
    this.sent += 1
    const stamp = stampBase + Math.round(intendedMs * 1000)
    producer.write(this.wire.push(this.spec.queue, `{"t":${stamp}${this.filler}`))
  }

  private sendOnSchedule(
    ratePerSecond: number,
    resolve: () => void,
    reject: (cause: Error) => void,
  ): void {
    const gapMs = 1000 / ratePerSecond
    const jobs = Math.floor((this.spec.warmupMs + this.spec.measureMs) / gapMs)
    const step = () => {
      const nowMs = performance.now()
      while (this.sent < jobs) {
        const intendedMs = this.startMs + this.sent * gapMs
        if (intendedMs > nowMs) break
        if (intendedMs - this.startMs >= this.spec.warmupMs) this.lateness.push(nowMs - intendedMs)
        this.send(this.producers[this.sent % this.producers.length] as LineConnection, intendedMs)
      }
      if (this.sent < jobs) return void setImmediate(step)
      this.goesOn = false
      if (this.acknowledged === this.sent) resolve()
      else
        setTimeout(
          () => reject(new Error(`${this.sent - this.acknowledged} jobs were never acknowledged`)),
          settleMs,
        ).unref()
    }
    step()
  }
}
