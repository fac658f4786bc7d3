import type { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Unwritten } from '../../../../src/engine/ports.ts'
import { Asked } from '../../../../src/transports/tcp/first-look.ts'
import { Output } from '../../../../src/transports/tcp/output.ts'
import { ReplyQueue, type Slot } from '../../../../src/transports/tcp/reply-queue.ts'

/** Takes what is written; says so only when the test lets it. */
class FakeSocket {
  readonly written: string[] = []
  private readonly buffers: Buffer[] = []
  private readonly callbacks: ((error?: Error) => void)[] = []

  write(bytes: Buffer, callback: (error?: Error) => void): boolean {
    this.buffers.push(bytes)
    this.callbacks.push(callback)
    return true
  }

  get pending(): number {
    return this.callbacks.length
  }

  /** The kernel accepts the oldest write: its bytes are read only now. */
  accept(error?: Error): void {
    if (error === undefined) this.written.push((this.buffers.shift() as Buffer).toString())
    this.callbacks.shift()?.(error)
  }

  acceptAll(): string {
    while (this.pending > 0) this.accept()
    return this.written.join('')
  }
}

function setUp(): {
  socket: FakeSocket
  output: Output
  queue: ReplyQueue
  givenBack: Unwritten[]
} {
  const socket = new FakeSocket()
  const output = new Output(socket as unknown as Socket, () => undefined)
  const givenBack: Unwritten[] = []
  const owner = {
    replied: () => undefined,
    giveBack: (handed: Unwritten) => givenBack.push(handed),
  }
  const queue = new ReplyQueue(output, owner, { answered: () => undefined })
  return { socket, output, queue, givenBack }
}

function answer(slot: Slot, text: string, handed: Unwritten | null = null): void {
  slot.open().utf8(`${text}\n`)
  slot.close(handed)
}

const handedOf = (seq: number): Unwritten => ({
  shard: 1,
  seqs: Float64Array.of(seq),
  firstToken: seq,
})

describe('the reply queue', () => {
  it('keeps the order of ordered replies whatever the order of the answers', () => {
    const frame = fc.record({
      atOnce: fc.boolean(),
      reqId: fc.boolean(),
      size: fc.constantFrom(1, 50, 20_000, 200_000),
      // How many of the frames that are open are answered after this one.
      answers: fc.array(fc.nat(), { maxLength: 3 }),
      accepts: fc.nat(2),
    })
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 40 }), (frames) => {
        const { socket, output, queue } = setUp()
        const open: { slot: Slot; text: string }[] = []
        const ordered: string[] = []
        const unordered: string[] = []
        const answerOne = (index: number): void => {
          const [one] = open.splice(index % open.length, 1)
          if (one !== undefined) answer(one.slot, one.text)
        }
        for (const [i, { atOnce, reqId, size, answers, accepts }] of frames.entries()) {
          const text = `${i} ${'x'.repeat(size)}`
          const slot = queue.next(Asked.other)
          slot.unordered = reqId
          if (atOnce) answer(slot, text)
          else open.push({ slot, text })
          queue.settle(slot)
          ;(reqId ? unordered : ordered).push(text)
          for (const index of answers) if (open.length > 0) answerOne(index)
          output.flush()
          for (let k = 0; k < accepts; k++) if (socket.pending > 0) socket.accept()
        }
        while (open.length > 0) answerOne(open.length - 1)
        output.send()
        const lines = socket.acceptAll().split('\n')
        expect(lines.pop()).toBe('')
        const isUnordered = new Set(unordered)
        expect(lines.filter((line) => !isUnordered.has(line))).toEqual(ordered)
        expect(lines.filter((line) => isUnordered.has(line)).sort()).toEqual(unordered.sort())
        expect(queue.owed).toBe(0)
        expect(queue.heldBytes).toBe(0)
        expect(output.unsentBytes).toBe(0)
      }),
      { numRuns: 200 },
    )
  })

  it('serves the next frame with the same slot when nothing is owed', () => {
    const { queue, output, socket } = setUp()
    const first = queue.next(Asked.pull)
    answer(first, 'a')
    queue.settle(first)
    const second = queue.next(Asked.other)
    expect(second).toBe(first)
    answer(second, 'b')
    queue.settle(second)
    expect(queue.owed).toBe(0)
    output.send()
    expect(socket.acceptAll()).toBe('a\nb\n')
  })

  it('refuses a second answer to the same command', () => {
    const { queue } = setUp()
    const first = queue.next(Asked.pull)
    queue.settle(first)
    const second = queue.next(Asked.other)
    queue.settle(second)
    answer(second, 'b')
    expect(() => second.open()).toThrow('a command was answered twice')
  })

  it('lets a reply overtake that turns out to have a reqId late', () => {
    const { queue, output, socket } = setUp()
    const [first, second, third] = [1, 2, 3].map(() => {
      const slot = queue.next(Asked.other)
      queue.settle(slot)
      return slot
    }) as [Slot, Slot, Slot]
    second.unordered = true
    answer(second, 'second')
    answer(third, 'third')
    answer(first, 'first')
    output.send()
    expect(socket.acceptAll()).toBe('second\nfirst\nthird\n')
  })
})

describe('jobs in lines that were not written', () => {
  it('are remembered until the kernel has accepted the line', () => {
    const { socket, output, queue } = setUp()
    for (const seq of [1, 2, 3]) {
      const slot = queue.next(Asked.pull)
      answer(slot, `${seq}`, handedOf(seq))
      queue.settle(slot)
      if (seq < 3) output.send()
    }
    socket.accept()
    expect(output.abandon()).toEqual([handedOf(2), handedOf(3)])
  })

  it('are remembered when the write fails', () => {
    const { socket, output, queue } = setUp()
    const slot = queue.next(Asked.pull)
    answer(slot, '1', handedOf(1))
    queue.settle(slot)
    output.send()
    socket.accept(new Error('EPIPE'))
    expect(output.abandon()).toEqual([handedOf(1)])
  })

  it('go back when the answer comes after the end', () => {
    const { queue, givenBack } = setUp()
    const slots = [false, true, false].map((reqId) => {
      const slot = queue.next(Asked.pull)
      slot.unordered = reqId
      queue.settle(slot)
      return slot
    }) as [Slot, Slot, Slot]
    answer(slots[2], '3', handedOf(3))
    expect(queue.abandon()).toEqual([handedOf(3)])
    answer(slots[0], '1', handedOf(1))
    answer(slots[1], '2', handedOf(2))
    expect(givenBack).toEqual([handedOf(1), handedOf(2)])
  })
})

describe('the output', () => {
  it('lets small lines gather while something is on its way', () => {
    const { socket, output } = setUp()
    for (let i = 0; i < 1000; i++) {
      output.open().ascii(`${i}\n`)
      output.lineEnded(null)
      output.flush()
    }
    expect(socket.pending).toBe(1)
    socket.accept()
    expect(socket.pending).toBe(1)
    expect(socket.acceptAll().split('\n')).toHaveLength(1001)
  })

  it('never writes into a buffer that is on its way', () => {
    const { socket, output } = setUp()
    const lines: string[] = []
    for (let i = 0; i < 300; i++) {
      const line = `${i} ${'y'.repeat((i * 7919) % 9000)}\n`
      lines.push(line)
      output.open().ascii(line)
      output.lineEnded(null)
      output.flush()
      if (i % 3 === 0 && socket.pending > 0) socket.accept()
    }
    output.send()
    expect(socket.acceptAll()).toBe(lines.join(''))
  })
})
