// Push one, pull one, acknowledge it: the whole life of a job, one command at a time on each connection. Counted in jobs.

import { payload } from './frames.ts'
import { type LineConnection, openLines } from './line-connection.ts'
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
      runCycle(connection, wire, push, pull, reject, () => {
        goesOn = window.add(1) && goesOn
        if (!goesOn) finished()
        return goesOn
      })
    })
  }).finally(() => closeAll(connections))
  return { jobs: window.total, perSecond: window.perSecond() }
}

/** `onJob` is called for each finished job and tells whether to go on. */
function runCycle(
  connection: LineConnection,
  wire: Wire,
  push: Buffer,
  pull: Buffer,
  reject: (cause: Error) => void,
  onJob: () => boolean,
): void {
  let step: 'push' | 'pull' | 'ack' = 'push'
  let linesToCome = 0
  let id = -1
  connection.onLine = (buf, from, to) => {
    switch (step) {
      case 'push':
        if (!wire.isPushed(buf, from)) return reject(refusal(buf, from, to))
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
        if (onJob()) connection.write(push)
    }
  }
  connection.write(push)
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
