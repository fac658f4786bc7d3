// PULLB + ACKB until a known number of jobs is taken and acknowledged. The ACKB of one batch and the PULLB of the next leave in
// one write, as a client with two lines to send would do it.
//
// Exactly as many PULLBs are sent per queue as it holds batches, so none of them waits and the plain protocol is enough.
// Throughput counts acknowledged jobs, over the whole of the drain.

import { pullBatchFrame } from './frames.ts'
import { AckWriter } from './job-ids.ts'
import { openSide } from './owner-side.ts'
import { closeAll } from './push.ts'
import { acknowledged, carriesJobs, isOk, refusal } from './replies.ts'
import type { DrainSpec, LoadResult } from './spec.ts'

export async function drain(spec: DrainSpec): Promise<LoadResult> {
  const pulls = new Pulls(spec)
  const connections = await openSide(spec.at, spec.connections, spec.queues[0] ?? '', spec.side)
  let taken = 0
  let done = 0
  const startMs = performance.now()

  await new Promise<void>((resolve, reject) => {
    let open = 0
    const finished = () => {
      open -= 1
      if (open > 0) return
      if (done === taken && taken === pulls.jobs) resolve()
      else
        reject(
          new Error(
            `drain: ${pulls.jobs} jobs were to be taken, ${taken} came, ${done} were acknowledged`,
          ),
        )
    }
    connections.forEach((connection, index) => {
      const acks = new AckWriter(spec.batch, spec.results)
      const first = pulls.next(index)
      if (first === undefined) return
      open += 1
      let unacknowledged = 0
      let last = false
      connection.onLost = reject
      connection.onLine = (buf, from, to) => {
        if (!isOk(buf, from)) return reject(refusal(buf, from, to))
        if (!carriesJobs(buf, from)) {
          done += acknowledged(buf, from)
          unacknowledged -= 1
          if (last && unacknowledged === 0) finished()
          return
        }
        const ack = acks.write(buf, from, to)
        taken += acks.count
        unacknowledged += 1
        const next = pulls.next(index)
        last = next === undefined
        connection.socket.cork()
        connection.write(ack)
        if (next !== undefined) connection.write(next)
        connection.socket.uncork()
      }
      connection.write(first)
    })
    if (open === 0) resolve()
  }).finally(() => closeAll(connections))
  return { jobs: done, perSecond: (done * 1000) / (performance.now() - startMs) }
}

/** The PULLB frames that are still to be sent, dealt out over the connections. */
class Pulls {
  readonly jobs: number
  private readonly frames: Buffer[]
  private readonly left: number[]

  constructor(spec: DrainSpec) {
    this.frames = spec.queues.map((queue) => pullBatchFrame(queue, spec.batch))
    this.left = spec.jobsPerQueue.map((jobs) => Math.floor(jobs / spec.batch))
    this.jobs = this.left.reduce((a, b) => a + b, 0) * spec.batch
  }

  /** Starts at another queue for every `hint`, and moves on when that is used up. */
  next(hint: number): Buffer | undefined {
    for (let i = 0; i < this.frames.length; i++) {
      const at = (hint * 7 + i) % this.frames.length
      const left = this.left[at] ?? 0
      if (left === 0) continue
      this.left[at] = left - 1
      return this.frames[at]
    }
    return undefined
  }
}
