// One small command, one at a time, with the time of each round trip: how long STATS takes, or (every millisecond, until
// stopped) how long the server's event loop was away at worst.

import { openLine } from './line-connection.ts'
import { percentiles } from './percentiles.ts'
import { isOk, refusal } from './replies.ts'
import type { AskSpec, LoadResult, SubscribeSpec } from './spec.ts'

export async function askRepeatedly(spec: AskSpec, stopped: () => boolean): Promise<LoadResult> {
  const connection = await openLine(spec.at)
  const frame = Buffer.from(`{"cmd":"${spec.cmd}"}\n`)
  const times: number[] = []
  let sentMs = 0
  const send = () => {
    sentMs = performance.now()
    connection.write(frame)
  }
  const startMs = performance.now()
  await new Promise<void>((resolve, reject) => {
    connection.onLost = reject
    connection.onLine = (buf, from, to) => {
      if (!isOk(buf, from)) return reject(refusal(buf, from, to))
      times.push(performance.now() - sentMs)
      if (spec.untilStopped ? stopped() : times.length >= spec.times) resolve()
      else if (spec.everyMs > 0) setTimeout(send, spec.everyMs)
      else send()
    }
    send()
  }).finally(() => connection.close())
  const elapsedMs = performance.now() - startMs
  return {
    jobs: times.length,
    perSecond: (times.length * 1000) / elapsedMs,
    latencyMs: percentiles(times),
  }
}

const stopCheckMs = 20

/** Reads and drops the events of some queues, so that the server has the work of sending them. */
export async function subscribe(spec: SubscribeSpec, stopped: () => boolean): Promise<LoadResult> {
  const connection = await openLine(spec.at)
  let lines = 0
  await new Promise<void>((resolve, reject) => {
    connection.onLost = reject
    connection.onLine = (buf, from, to) => {
      lines += 1
      if (lines <= spec.queues.length && !isOk(buf, from)) reject(refusal(buf, from, to))
    }
    for (const queue of spec.queues)
      connection.write(Buffer.from(`{"cmd":"SUBSCRIBE","queue":"${queue}","events":["*"]}\n`))
    const timer = setInterval(() => {
      if (!stopped()) return
      clearInterval(timer)
      resolve()
    }, stopCheckMs)
  }).finally(() => connection.close())
  return { jobs: 0, perSecond: 0, lines: Math.max(0, lines - spec.queues.length) }
}
