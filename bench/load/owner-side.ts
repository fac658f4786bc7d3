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
  let owners: Map<string, number> | undefined
  for (let attempt = 0; attempt < attemptsMax && chosen.length < count; attempt++) {
    const connection = await openLine(at)
    owners ??= await ownersOf(connection)
    const worker = await workerOf(connection)
    if ((worker === owners.get(queue)) === (side === 'right')) {
      if (side === 'pinned') await touch(connection, queueOf(owners, worker))
      chosen.push(connection)
    } else connection.close()
  }
  if (chosen.length === count) return chosen
  for (const connection of chosen) connection.close()
  throw new Error(`only ${chosen.length} of ${count} connections landed ${side} for ${queue}`)
}

/** Makes a queue known to LISTQUEUES, or a connection a user of it; leaves no job behind. */
export async function touch(connection: LineConnection, queue: string): Promise<void> {
  await ask(connection, `{"cmd":"PUSH","queue":"${queue}","data":null}`)
  const reply = await ask(connection, `{"cmd":"PULL","queue":"${queue}"}`)
  const { job } = JSON.parse(reply) as { job: { id: number } }
  await ask(connection, `{"cmd":"ACK","id":${job.id}}`)
}

interface WorkerReply {
  worker?: number
  metrics?: { worker?: number }
  queues?: { name: string; worker?: number }[]
}

export async function workerOf(connection: LineConnection): Promise<number> {
  const reply = JSON.parse(await ask(connection, '{"cmd":"METRICS"}')) as WorkerReply
  const worker = reply.worker ?? reply.metrics?.worker
  if (worker === undefined)
    throw new Error('METRICS does not tell which worker serves a connection')
  return worker
}

/** Queue to worker. */
export async function ownersOf(connection: LineConnection): Promise<Map<string, number>> {
  const reply = JSON.parse(await ask(connection, '{"cmd":"LISTQUEUES"}')) as WorkerReply
  const owners = new Map<string, number>()
  for (const { name, worker } of reply.queues ?? []) {
    if (worker === undefined) throw new Error('LISTQUEUES does not tell which worker owns a queue')
    owners.set(name, worker)
  }
  return owners
}

function queueOf(owners: ReadonlyMap<string, number>, worker: number): string {
  for (const [queue, owner] of owners) if (owner === worker) return queue
  throw new Error(`worker ${worker} owns no queue yet`)
}
