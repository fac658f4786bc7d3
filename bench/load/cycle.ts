// Push one, pull one, acknowledge it: the whole life of a job, one command at a time on each connection. Counted in jobs.

import { payload } from './frames.ts'
import { type LineConnection, openLines } from './line-connection.ts'
import { percentiles } from './percentiles.ts'
import { closeAll } from './push.ts'
import { refusal } from './replies.ts'
import type { CycleSpec, LoadResult } from './spec.ts'
import { Window } from './window.ts'
import { type Wire, wires } from './wire.ts'

export async function cycle(spec: CycleSpec): Promise<LoadResult> {
  const wire = wires[spec.wire]
  const connections = await openLines(spec.at, spec.connections)
  const queues = connections.map((_, i) => spec.queues[i % spec.queues.length] ?? '')
  await Promise.all(connections.map((connection, i) => setUp(connection, wire, queues[i] ?? '')))
  const window = new Window(spec.warmupMs, spec.measureMs)
  const data = payload(spec.dataBytes)
  const pushMs: number[] = []

  await new Promise<void>((resolve, reject) => {
    let open = connections.length
    let goesOn = true
    connections.forEach((connection, i) => {
      const queue = queues[i] ?? ''
      const push = wire.push(queue, data)
      const pull = wire.pull(queue)
      connection.onLost = reject
      const finished = () => {
        open -= 1
        if (open === 0) resolve()
      }
      runCycle(connection, wire, push, pull, {
        reject,
        onPushed: spec.pushLatency === true ? (ms) => pushMs.push(ms) : null,
        onJob: () => {
          goesOn = window.add(1) && goesOn
          if (!goesOn) finished()
          return goesOn
        },
      })
    })
  }).finally(() => closeAll(connections))
  const result = { jobs: window.total, perSecond: window.perSecond() }
  return spec.pushLatency === true ? { ...result, latencyMs: percentiles(pushMs) } : result
}

interface CycleHooks {
  reject: (cause: Error) => void
  /** Gets the time that a push took; null when nobody asks. */
  onPushed: ((ms: number) => void) | null
  /** Called for each finished job; tells whether to go on. */
  onJob: () => boolean
}

function runCycle(
  connection: LineConnection,
  wire: Wire,
  push: Buffer,
  pull: Buffer,
  { reject, onPushed, onJob }: CycleHooks,
): void {
  let step: 'push' | 'pull' | 'ack' = 'push'
  let linesToCome = 0
  let id = -1
  let sentMs = 0
  const sendPush = () => {
    if (onPushed !== null) sentMs = performance.now()
    connection.write(push)
  }
  connection.onLine = (buf, from, to) => {
    switch (step) {
      case 'push':
        if (!wire.isPushed(buf, from)) return reject(refusal(buf, from, to))
        onPushed?.(performance.now() - sentMs)
        step = 'pull'
        linesToCome = wire.linesOfPull
        return connection.write(pull)
      case 'pull':
        if (linesToCome === wire.linesOfPull) id = wire.jobId(buf, from)
        if (id === -1) return reject(refusal(buf, from, to))
        linesToCome -= 1
        if (linesToCome > 0) return
        step = 'ack'
        return connection.write(wire.ack(id))
      case 'ack':
        if (!wire.isAcknowledged(buf, from)) return reject(refusal(buf, from, to))
        step = 'push'
        if (onJob()) sendPush()
    }
  }
  sendPush()
}

export async function setUp(connection: LineConnection, wire: Wire, queue: string): Promise<void> {
  const { bytes, lines } = wire.setup(queue)
  if (lines === 0) return
  await new Promise<void>((resolve, reject) => {
    let left = lines
    connection.onLost = reject
    connection.onLine = () => {
      left -= 1
      if (left === 0) resolve()
    }
    connection.write(bytes)
  })
}
