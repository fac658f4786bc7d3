// The thread that makes a worker's checkpoints: it shares nothing with the serving loop.
//
// A fault is an answer. Anything else that goes wrong is a bug: the thread dies of it, and checkpoint-worker.ts sees that.

import { parentPort, workerData } from 'node:worker_threads'
import { StorageFault } from '../../../engine/storage-port.ts'
import { CheckpointMaker, type CheckpointSettings } from './checkpoint-maker.ts'
import type { CheckpointAnswer, CheckpointOrder } from './checkpoint-messages.ts'

const port = parentPort
if (port === null) throw new Error('this file is the entry of a thread')

const maker = new CheckpointMaker(workerData as CheckpointSettings)

port.on('message', (order: CheckpointOrder) => {
  if (order === null) void end()
  else void answer(order)
})

async function answer(order: NonNullable<CheckpointOrder>): Promise<void> {
  port?.postMessage(await made(order))
}

async function made({ fence, covered }: NonNullable<CheckpointOrder>): Promise<CheckpointAnswer> {
  try {
    return { made: await maker.checkpoint(fence, covered) }
  } catch (error) {
    if (!(error instanceof StorageFault)) throw error
    return { fault: { code: error.code, text: error.message, retryable: error.retryable } }
  }
}

async function end(): Promise<void> {
  await maker.stop()
  port?.close()
}
