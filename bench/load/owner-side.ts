// Connections that are served by the owner of a queue, or by another worker.
//
// The server tells both: METRICS has `worker`, the worker that serves this connection; a row of LISTQUEUES has `worker`, the
// owner of that queue. Both are extra keys. Connections land on workers by the server's choice, so more are opened than needed.

import { ask, type LineConnection, openLine, openLines } from './line-connection.ts'
import type { Address, Side } from './spec.ts'

const attemptsMax = 200

export async function openSide(
  at: Address,
  count: number,
  queue: string,
  side: Side | undefined,
): Promise<LineConnection[]> {
  if (side === undefined) return openLines(at, count)
  const chosen: LineConnection[] = []
  let owner: number | undefined
  for (let attempt = 0; attempt < attemptsMax && chosen.length < count; attempt++) {
    const connection = await openLine(at)
    owner ??= await ownerOf(connection, queue)
    const isOwner = (await workerOf(connection)) === owner
    if (isOwner === (side === 'right')) chosen.push(connection)
    else connection.close()
  }
  if (chosen.length < count)
    throw new Error(
      `only ${chosen.length} of ${count} connections landed on the ${side} side of ${queue}`,
    )
  return chosen
}

interface WorkerReply {
  worker?: number
  metrics?: { worker?: number }
  queues?: { name: string; worker?: number }[]
}

async function workerOf(connection: LineConnection): Promise<number> {
  const reply = JSON.parse(await ask(connection, '{"cmd":"METRICS"}')) as WorkerReply
  const worker = reply.worker ?? reply.metrics?.worker
  if (worker === undefined)
    throw new Error('METRICS does not tell which worker serves a connection')
  return worker
}

async function ownerOf(connection: LineConnection, queue: string): Promise<number> {
  const reply = JSON.parse(await ask(connection, '{"cmd":"LISTQUEUES"}')) as WorkerReply
  const worker = reply.queues?.find((row) => row.name === queue)?.worker
  if (worker === undefined) throw new Error(`LISTQUEUES does not tell which worker owns ${queue}`)
  return worker
}
