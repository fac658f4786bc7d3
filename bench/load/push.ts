// PUSH or PUSHB as fast as replies come (or on a timer), over some connections that each keep `depth` frames unanswered.

import { pushBatchFrame, pushFrame } from './frames.ts'
import type { LineConnection } from './line-connection.ts'
import { openSide } from './owner-side.ts'
import { isOk, refusal } from './replies.ts'
import type { LoadResult, PushSpec } from './spec.ts'
import { Window } from './window.ts'

export async function push(spec: PushSpec): Promise<LoadResult> {
  const frames = spec.queues.map((queue) =>
    spec.batch === 0
      ? pushFrame(queue, spec.dataBytes)
      : pushBatchFrame(queue, spec.batch, spec.dataBytes),
  )
  const jobsPerFrame = Math.max(1, spec.batch)
  const connections = await openSide(spec.at, spec.connections, spec.queues[0] ?? '', spec.side)
  const perQueue = frames.map(() => 0)
  const window = new Window(spec.warmupMs, spec.measureMs)
  let framesLeft = Math.floor((spec.jobsMax ?? Number.MAX_SAFE_INTEGER) / jobsPerFrame)
  let unanswered = 0
  let goesOn = true

  await new Promise<void>((resolve, reject) => {
    connections.forEach((connection, index) => {
      // Connections start at different queues, so that 64 queues are not hit in step.
      let turn = Math.floor((index * frames.length) / connections.length)
      const sendNext = () => {
        const frame = frames[turn]
        if (frame === undefined || framesLeft === 0 || !goesOn) return
        framesLeft -= 1
        perQueue[turn] = (perQueue[turn] ?? 0) + jobsPerFrame
        turn = (turn + 1) % frames.length
        unanswered += 1
        connection.write(frame)
      }
      connection.onLost = reject
      connection.onLine = (buf, from, to) => {
        if (!isOk(buf, from)) return reject(refusal(buf, from, to))
        unanswered -= 1
        goesOn = window.add(jobsPerFrame) && goesOn
        if (spec.everyMs === undefined) sendNext()
        else if (goesOn) setTimeout(sendNext, spec.everyMs)
        if (unanswered === 0 && (!goesOn || framesLeft === 0)) resolve()
      }
      for (let i = 0; i < spec.depth; i++) sendNext()
    })
  }).finally(() => closeAll(connections))
  return { jobs: perQueue.reduce((a, b) => a + b, 0), perSecond: window.perSecond(), perQueue }
}

export function closeAll(connections: readonly LineConnection[]): void {
  for (const connection of connections) connection.close()
}
