import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { NOBODY } from '../../../src/cluster/assignment.ts'
import type { Gathers } from '../../../src/cluster/gather.ts'
import { HELD_MS_MAX } from '../../../src/cluster/held.ts'
import type { Request } from '../../../src/cluster/request.ts'
import { Router } from '../../../src/cluster/router.ts'
import { Routes } from '../../../src/cluster/routes.ts'
import type { Runner } from '../../../src/cluster/runner.ts'
import { shardOfQueue } from '../../../src/cluster/shard-of-queue.ts'
import { ByteWriter } from '../../../src/engine/byte-writer.ts'
import type { Command } from '../../../src/engine/command.ts'
import { opNames } from '../../../src/engine/op.ts'
import { newSession, type Reply, type ReplySlot } from '../../../src/engine/ports.ts'
import { Traffic } from '../../../src/engine/traffic.ts'
import { wireCodec } from '../../../src/transports/wire/codec.ts'

const queueOf = (worker: number): string => {
  let i = 0
  while (shardOfQueue(`q${i}`) % 2 !== worker) i++
  return `q${i}`
}
const MINE = queueOf(0)
const THEIRS = queueOf(1)

class Slot implements ReplySlot {
  unordered = false
  readonly writer = new ByteWriter(64)
  closed = 0

  open(): ByteWriter {
    return this.writer
  }

  close(): void {
    this.closed++
  }

  get answer(): Record<string, unknown> | null {
    return this.closed === 0 ? null : JSON.parse(this.writer.toBuffer().toString())
  }
}

/** This is worker 0 of two; worker 1 owns the odd shards. */
function routing() {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const routes = new Routes(0)
  const own = (odd: number): void =>
    routes.update(
      1,
      Array.from({ length: 32 }, (_, shard) => (shard % 2 === 0 ? 0 : odd)),
      [1, 1],
    )
  own(1)
  const ran: string[] = []
  const runner = {
    execute(command: Command, reply: Reply) {
      ran.push(opNames[command.op] as string)
      if (command.idCount > 0 && command.op === 6) reply.counted(command.idCount, [])
      else reply.ok()
    },
  } as unknown as Runner
  const sent: { request: Request; line: string }[] = []
  const link = { up: true, full: false }
  const router = new Router({
    traffic: new Traffic(),
    codec: wireCodec,
    clock: { nowMs: () => Date.now() },
    routes,
    runner,
    hold: null,
    turn: { schedule: () => undefined },
    gathers: { start: (_op: number, reply: Reply) => reply.ok() } as unknown as Gathers,
    ways: {
      to: () => (link.up ? { send } : null),
      forgetLost: () => undefined,
    },
  })
  function send(request: Request, line: Buffer, from: number, to: number): boolean {
    if (link.full) return false
    sent.push({ request, line: line.toString('utf8', from, to) })
    return true
  }
  onTestFinished(() => router.stop())
  const session = newSession(1)
  const submit = (frame: object | string): Slot => {
    const slot = new Slot()
    const text = typeof frame === 'string' ? frame : JSON.stringify(frame)
    const bytes = Buffer.from(`prefix\n${text}\n`)
    router.submit(bytes, 7, bytes.length - 1, slot, session)
    return slot
  }
  return { router, own, ran, sent, link, session, submit }
}

describe('the router', () => {
  it('runs here what is for a shard of this worker', () => {
    const { submit, ran, sent } = routing()
    expect(submit({ cmd: 'PUSH', queue: MINE, data: 1 }).answer).toEqual({ ok: true })
    expect(submit({ cmd: 'ACK', id: 2 }).answer).toEqual({ ok: true })
    expect(submit({ cmd: 'ACKB', ids: [2, 4], reqId: 'a' }).answer).toMatchObject({ reqId: 'a' })
    expect(ran).toEqual(['PUSH', 'ACK', 'ACKB'])
    expect(sent).toEqual([])
  })

  it('forwards the raw bytes of what is not, in whatever order its keys are', () => {
    const { submit, sent, session } = routing()
    const frames = [
      `{"cmd":"PUSH","queue":"${THEIRS}","data":{"a": 1.50}}`,
      `{ "data" : [ ], "queue" : "${THEIRS}", "cmd" : "PUSH" }`,
      '{"cmd":"ACK","id":33}',
      '{"id":33,"cmd":"ACK"}',
      '{"cmd":"ACKB","ids":[33,35]}',
      '{"ids":[33,35],"cmd":"ACKB"}',
      `{"cmd":"CRONDELETE","name":"${THEIRS}"}`,
    ]
    for (const frame of frames) expect(submit(frame).closed).toBe(0)
    expect(sent.map(({ line }) => line)).toEqual(frames)
    expect(session.workersUsed).toBe(2)
  })

  it('knows the reqId of what it forwards wherever it stands', () => {
    const { submit, sent } = routing()
    const jobs = Array.from({ length: 100 }, (_, i) => ({ data: `job ${i}` }))
    const frames = [
      { cmd: 'PUSH', reqId: 7, queue: THEIRS, data: 1 },
      { cmd: 'PUSH', queue: THEIRS, data: 1, reqId: 7 },
      { cmd: 'PUSHB', queue: THEIRS, reqId: 7, jobs },
      { cmd: 'PUSHB', queue: THEIRS, jobs, reqId: 7 },
      { cmd: 'PULL', queue: THEIRS, wait: 5, reqId: 7 },
    ]
    for (const frame of frames) expect(submit(frame).unordered).toBe(true)
    expect(sent.map(({ request }) => request.reqId)).toEqual(['7', '7', '7', '7', '7'])
    // Not its own, but its data's.
    expect(submit({ cmd: 'PUSH', queue: THEIRS, data: { reqId: 7 } }).unordered).toBe(false)
    expect(sent.at(-1)?.request.reqId).toBe('')
  })

  it('refuses what is no command, here', () => {
    const { submit, sent } = routing()
    expect(submit('{"cmd":"PUSH"').answer).toMatchObject({ code: 'invalid' })
    expect(submit({ cmd: 'NOPE', reqId: 1 }).answer).toMatchObject({ code: 'invalid', reqId: 1 })
    expect(sent).toEqual([])
  })

  it('takes a batch of ids of several workers apart', () => {
    const { submit, ran, sent } = routing()
    const slot = submit({ cmd: 'ACKB', ids: [2, 3, 4, 5], reqId: 9 })
    expect(ran).toEqual(['ACKB'])
    expect(sent.map(({ line }) => line)).toEqual(['{"cmd":"ACKB","ids":[3,5]}'])
    const part = sent[0]?.request.slot
    part?.open().ascii('{"ok":true,"ids":[2]}\n')
    part?.close(null)
    expect(slot.answer).toEqual({ ok: true, reqId: 9, ids: [4] })
  })

  it('refuses at once when a link can take no more', () => {
    const { submit, link } = routing()
    link.full = true
    const slot = submit({ cmd: 'PUSH', queue: THEIRS, data: 1, reqId: 1 })
    expect(slot.answer).toMatchObject({ code: 'unavailable', reqId: 1 })
  })
})

describe('when an owner dies', () => {
  it('what may not run twice is answered outcome_unknown, what may is sent again', () => {
    const { submit, router, sent } = routing()
    const push = submit({ cmd: 'PUSH', queue: THEIRS, data: 1, reqId: 'é"' })
    const ack = submit({ cmd: 'ACK', id: 33 })
    const beat = submit({ cmd: 'HEARTBEAT', ids: [33] })
    const pull = submit({ cmd: 'PULL', queue: THEIRS, reqId: 3 })
    const state = submit({ cmd: 'GETSTATE', id: 33 })
    const lost = sent.splice(0).map(({ request }) => request)
    router.lost(lost)
    expect(push.answer).toMatchObject({ ok: false, code: 'outcome_unknown', reqId: 'é"' })
    expect(ack.answer).toMatchObject({ ok: false, code: 'outcome_unknown' })
    expect(beat.answer).toMatchObject({ ok: false, code: 'outcome_unknown' })
    expect([pull.closed, state.closed]).toEqual([0, 0])
    expect(sent.map(({ line }) => JSON.parse(line).cmd)).toEqual(['PULL', 'GETSTATE'])
    expect(sent[0]?.request.slot).toBe(pull)
  })

  it('what provably never left this process is sent again', () => {
    const { submit, router, sent } = routing()
    const frame = { cmd: 'PUSH', queue: THEIRS, data: 1 }
    submit(frame)
    const [lost] = sent.splice(0)
    if (lost === undefined) throw new Error('nothing was sent')
    lost.request.line = Buffer.from(`${lost.line}\n`)
    router.lost([lost.request])
    expect(sent.map(({ line }) => JSON.parse(line))).toEqual([frame])
  })

  it('requests are held in order until there is a new owner, here or elsewhere', () => {
    const { submit, router, own, ran, sent, link } = routing()
    own(NOBODY)
    const slots = ['PUSH', 'PULL', 'PAUSE'].map((cmd) => submit({ cmd, queue: THEIRS, data: 1 }))
    expect(slots.map(({ closed }) => closed)).toEqual([0, 0, 0])
    own(1)
    link.up = false
    router.retryHeld()
    expect(sent).toEqual([])
    link.up = true
    // Behind those that are held already, though its owner is known.
    slots.push(submit({ cmd: 'RESUME', queue: THEIRS }))
    expect(sent).toEqual([])
    router.retryHeld()
    expect(sent.map(({ line }) => JSON.parse(line).cmd)).toEqual([
      'PUSH',
      'PULL',
      'PAUSE',
      'RESUME',
    ])
    own(NOBODY)
    slots.push(submit({ cmd: 'ACKB', ids: [33, 2, 35] }))
    own(0)
    router.retryHeld()
    expect(ran).toEqual(['ACKB', 'ACKB'])
    expect(slots[4]?.answer).toEqual({ ok: true, ids: [3] })
  })

  it('requests are refused when there is no owner in time', () => {
    const { submit, own } = routing()
    own(NOBODY)
    const slot = submit({ cmd: 'PUSH', queue: THEIRS, data: 1, reqId: 5 })
    vi.advanceTimersByTime(HELD_MS_MAX - 100)
    expect(slot.closed).toBe(0)
    vi.advanceTimersByTime(200)
    expect(slot.answer).toMatchObject({ code: 'unavailable', reqId: 5 })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('a request that goes from one wrong worker to the next still ends in time', () => {
    const { submit, router, sent } = routing()
    const slot = submit({ cmd: 'PUSH', queue: THEIRS, data: 1 })
    for (let ms = 0; ms < HELD_MS_MAX + 200 && slot.closed === 0; ms += 50) {
      for (const { request, line } of sent.splice(0)) router.notOwner(request, Buffer.from(line))
      vi.advanceTimersByTime(50)
    }
    expect(slot.answer).toMatchObject({ code: 'unavailable' })
  })

  it('held pulls of a session that closes are dropped, its other commands are not', () => {
    const { submit, router, own, sent, session } = routing()
    own(NOBODY)
    submit({ cmd: 'PULL', queue: THEIRS })
    submit({ cmd: 'PUSH', queue: THEIRS, data: 1 })
    router.forgetPulls(session)
    own(1)
    router.retryHeld()
    expect(sent.map(({ line }) => JSON.parse(line).cmd)).toEqual(['PUSH'])
  })

  it('held requests are bounded in bytes', () => {
    const { submit, own } = routing()
    own(NOBODY)
    const frame = { cmd: 'PUSH', queue: THEIRS, data: 'x'.repeat(1_000_000) }
    const slots = Array.from({ length: 70 }, () => submit(frame))
    const refused = slots.filter(({ closed }) => closed > 0)
    expect(refused).toHaveLength(3)
    expect(refused[0]?.answer).toMatchObject({ code: 'unavailable' })
  })
})
