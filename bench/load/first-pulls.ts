// When queues serve again: one connection for each, which asks for a job until it gets one. Runs in the orchestrator's process,
// which does nothing else meanwhile.

import { setTimeout as sleep } from 'node:timers/promises'
import { ask, type LineConnection, openLine } from './line-connection.ts'
import type { Address } from './spec.ts'

const retryMs = 2

/** For each queue the time, by the monotonic clock, when it first gave a job. Each must have one: none is an error. */
export function firstPulls(
  at: Address,
  queues: readonly string[],
  limitMs: number,
): Promise<number[]> {
  const endMs = performance.now() + limitMs
  return Promise.all(queues.map((queue) => firstPull(at, queue, endMs)))
}

async function firstPull(at: Address, queue: string, endMs: number): Promise<number> {
  let connection: LineConnection | undefined
  let reply = ''
  try {
    while (performance.now() < endMs) {
      try {
        connection ??= await openLine(at)
        reply = await ask(connection, `{"cmd":"PULL","queue":"${queue}","wait":0}`)
      } catch (cause) {
        // Its worker is not there, or not any more.
        reply = String(cause)
        connection?.close()
        connection = undefined
      }
      if (givesJob(reply)) return performance.now()
      await sleep(retryMs)
    }
  } finally {
    connection?.close()
  }
  throw new Error(`${queue} gave no job in time, but: ${reply}`)
}

/** False for what is no answer of the queue: a refusal, a lost connection. That it has no job is an error. */
export function givesJob(reply: string): boolean {
  if (reply.startsWith('{"ok":true,"job":null')) throw new Error(`jobs are lost: ${reply}`)
  return reply.startsWith('{"ok":true,"job":{')
}
