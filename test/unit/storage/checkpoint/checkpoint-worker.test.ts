import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import type {
  CheckpointAnswer,
  CheckpointOrder,
} from '../../../../src/storage/postgres/checkpoint/checkpoint-messages.ts'
import { CheckpointWorker } from '../../../../src/storage/postgres/checkpoint/checkpoint-worker.ts'
import type { Fence } from '../../../../src/storage/postgres/checkpoint/fence.ts'
import { ManualDelay } from '../../../support/manual-delay.ts'

const settings = { url: 'url', schema: 'flashq', applicationName: 'flashq:me', historyDays: 7 }
const fence: Fence = { shard: 1, epoch: 2, owner: 'me' }
const made = { generation: 1, jobs: 2, bytes: 3 }

/** Does what the test says. */
class FakeThread extends EventEmitter {
  readonly orders: CheckpointOrder[] = []
  terminated = false

  postMessage(order: CheckpointOrder): void {
    this.orders.push(order)
  }

  answer(answer: CheckpointAnswer): void {
    this.emit('message', answer)
  }

  die(error: Error): void {
    this.emit('error', error)
    this.emit('exit')
  }

  async terminate(): Promise<void> {
    this.terminated = true
    this.emit('exit')
  }
}

function open(): { worker: CheckpointWorker; threads: FakeThread[]; time: ManualDelay } {
  const threads: FakeThread[] = []
  const time = new ManualDelay()
  const worker = new CheckpointWorker(
    settings,
    () => {
      const thread = new FakeThread()
      threads.push(thread)
      return thread
    },
    time.delay,
  )
  return { worker, threads, time }
}

describe('the way to the checkpoint thread', () => {
  it('begins a thread with the first order, and hands over one at a time', async () => {
    const { worker, threads } = open()
    expect(threads).toEqual([])
    const first = worker.checkpoint(fence, 10)
    const second = worker.checkpoint(fence, 20)
    expect(threads).toHaveLength(1)
    expect(threads[0]?.orders).toEqual([{ fence, covered: 10 }])
    threads[0]?.answer({ made })
    expect(await first).toEqual(made)
    expect(threads[0]?.orders).toEqual([
      { fence, covered: 10 },
      { fence, covered: 20 },
    ])
    threads[0]?.answer({ made: 'fenced' })
    expect(await second).toBe('fenced')
    expect(threads).toHaveLength(1)
  })

  it('makes a fault of a fault', async () => {
    const { worker, threads } = open()
    const order = worker.checkpoint(fence, 10)
    threads[0]?.answer({ fault: { code: '55P03', text: 'a reader', retryable: true } })
    await expect(order).rejects.toMatchObject({
      name: 'StorageFault',
      code: '55P03',
      message: 'a reader',
      retryable: true,
    })
  })

  it('gives the next order to a new thread when one has died', async () => {
    const { worker, threads } = open()
    const first = worker.checkpoint(fence, 10)
    const second = worker.checkpoint(fence, 20)
    const cause = new Error('out of memory')
    threads[0]?.die(cause)
    await expect(first).rejects.toMatchObject({ code: 'checkpoint_thread', retryable: true, cause })
    expect(threads).toHaveLength(2)
    threads[1]?.answer({ made })
    expect(await second).toEqual(made)
  })

  it('ends a thread that has had nothing to do, and begins another when there is something', async () => {
    const { worker, threads, time } = open()
    const first = worker.checkpoint(fence, 10)
    threads[0]?.answer({ made })
    await first
    time.pass()
    expect(threads[0]?.orders.at(-1)).toBe(null)
    const second = worker.checkpoint(fence, 20)
    // The end of the old one is no concern of the new one.
    threads[0]?.emit('exit')
    threads[1]?.answer({ made })
    expect(await second).toEqual(made)
  })

  it('stops: what waits is refused, and a thread that does not end in time is ended', async () => {
    const { worker, threads, time } = open()
    const first = worker.checkpoint(fence, 10).catch((error: unknown) => error)
    const second = worker.checkpoint(fence, 20).catch((error: unknown) => error)
    const stopped = worker.stop()
    expect(threads[0]?.orders.at(-1)).toBe(null)
    time.pass()
    await stopped
    expect(threads[0]?.terminated).toBe(true)
    expect(await first).toMatchObject({ code: 'stopped', retryable: false })
    expect(await second).toMatchObject({ code: 'stopped', retryable: false })
    await expect(worker.checkpoint(fence, 30)).rejects.toMatchObject({ code: 'stopped' })
    expect(threads).toHaveLength(1)
  })
})
