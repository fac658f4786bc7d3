// Replies that wait for records: when they leave, in which order, and what becomes of them when the records never are durable.

import { describe, expect, it, onTestFinished } from 'vitest'
import { ReplyHold } from '../../../src/cluster/reply-hold.ts'
import { ByteWriter } from '../../../src/engine/byte-writer.ts'
import { Command } from '../../../src/engine/command.ts'
import type { DurableLog, ReplySlot, Unwritten } from '../../../src/engine/ports.ts'
import { refusals } from '../../../src/engine/refusal.ts'
import { wireCodec } from '../../../src/transports/wire/codec.ts'

class FakeLog implements DurableLog {
  mark = 0
  durableMark = 0
  flushes = 0

  append(): void {
    this.mark++
  }

  flush(): void {
    this.flushes++
  }
}

class Bench {
  readonly sent: string[] = []
  readonly returned: Unwritten[] = []
  readonly log = new FakeLog()
  mayAnswer = true
  readonly hold: ReplyHold

  constructor(waits = true) {
    const { returned } = this
    this.hold = new ReplyHold(
      { giveBack: (handed) => returned.push(handed), mayAnswer: () => this.mayAnswer },
      wireCodec,
      waits,
    )
  }

  /** A command that records something and is answered. */
  push(name: string, reqId: string | null = null, log: FakeLog | null = this.log): void {
    log?.append()
    this.reply(name, reqId).ok()
  }

  reply(name: string, reqId: string | null = null, bounce: (() => void) | null = null) {
    const command = new Command()
    if (reqId !== null) {
      command.bytes = Buffer.from(reqId)
      command.reqIdFrom = 0
      command.reqIdTo = command.bytes.length
    }
    const slot = new NamedSlot(name, this.sent)
    return wireCodec.reply(command, this.hold.slot(slot, reqId ?? '', bounce))
  }

  turn(...logs: FakeLog[]): void {
    this.hold.endTurn(logs.length === 0 ? [this.log] : logs)
  }

  durable(mark: number, log = this.log): void {
    log.durableMark = mark
    this.hold.durable(log)
  }
}

class NamedSlot implements ReplySlot {
  unordered = false
  private readonly writer = new ByteWriter(64)
  private readonly name: string
  private readonly sent: string[]

  constructor(name: string, sent: string[]) {
    this.name = name
    this.sent = sent
  }

  open(): ByteWriter {
    return this.writer
  }

  close(): void {
    this.sent.push(`${this.name} ${this.writer.toBuffer().toString().trimEnd()}`)
  }
}

const handed: Unwritten = { shard: 1, seqs: new Float64Array([7]), firstToken: 1 }
const OK = '{"ok":true}'

describe('whoever waits for all replies so far', () => {
  it('is told when they have gone, whatever journal each waits for, or are refused', () => {
    const bench = new Bench()
    const [slow, bad] = [new FakeLog(), new FakeLog()]
    const wait = (name: string): void => bench.hold.whenSent(() => bench.sent.push(name))
    wait('nothing to wait for')
    bench.push('a', null, slow)
    bench.turn(slow)
    bench.push('b', null, bad)
    bench.turn(bad)
    bench.push('c')
    wait('all three')
    bench.turn()
    bench.push('d')
    bench.turn()
    bench.durable(1)
    bench.durable(1, slow)
    expect(bench.sent).toEqual(['nothing to wait for', `c ${OK}`, `a ${OK}`])
    bench.hold.drop(bad, refusals.outcomeUnknown)
    expect(bench.sent.slice(3)).toEqual([expect.stringMatching(/^b .*outcome/), 'all three'])
    bench.durable(2)
    expect(bench.sent.at(-1)).toBe(`d ${OK}`)
  })

  it('also when they leave with their turn', () => {
    const bench = new Bench(false)
    bench.push('a')
    bench.hold.whenSent(() => bench.sent.push('all'))
    expect(bench.sent).toEqual([])
    bench.turn()
    expect(bench.sent).toEqual([`a ${OK}`, 'all'])
  })
})

describe('a reply', () => {
  it('leaves when what its turn recorded is durable, in the order of the replies', () => {
    const bench = new Bench()
    bench.push('a')
    bench.push('b')
    bench.turn()
    bench.push('c')
    bench.turn()
    expect(bench.sent).toEqual([])
    bench.durable(1)
    expect(bench.sent).toEqual([])
    bench.durable(2)
    expect(bench.sent).toEqual([`a ${OK}`, `b ${OK}`])
    bench.durable(3)
    expect(bench.sent).toEqual([`a ${OK}`, `b ${OK}`, `c ${OK}`])
  })

  it('keeps its bytes until it leaves, however many turns come and go meanwhile', () => {
    const bench = new Bench()
    const other = new FakeLog()
    bench.push('slow', '"first"')
    bench.turn()
    for (let i = 1; i <= 3; i++) {
      bench.push(`quick${i}`, `"${i}"`, other)
      bench.turn(other)
      bench.durable(i, other)
    }
    bench.durable(1)
    bench.push('last', '"last"')
    bench.turn()
    bench.durable(2)
    expect(bench.sent).toEqual([
      'quick1 {"ok":true,"reqId":"1"}',
      'quick2 {"ok":true,"reqId":"2"}',
      'quick3 {"ok":true,"reqId":"3"}',
      'slow {"ok":true,"reqId":"first"}',
      'last {"ok":true,"reqId":"last"}',
    ])
  })

  it('that only reads waits for what was recorded before it', () => {
    const bench = new Bench()
    bench.push('a')
    bench.turn()
    bench.reply('read').ok()
    bench.turn()
    expect(bench.sent).toEqual([])
    bench.durable(1)
    expect(bench.sent).toEqual([`a ${OK}`, `read ${OK}`])
    bench.reply('clean').ok()
    bench.turn()
    expect(bench.sent.at(-1)).toBe(`clean ${OK}`)
  })

  it('waits for every shard that its turn touched', () => {
    const bench = new Bench()
    const other = new FakeLog()
    bench.push('a')
    other.append()
    bench.turn(bench.log, other)
    bench.durable(1)
    expect(bench.sent).toEqual([])
    bench.durable(1, other)
    expect(bench.sent).toEqual([`a ${OK}`])
  })

  it('does not wait when durability does not', () => {
    const bench = new Bench(false)
    bench.push('a')
    bench.turn()
    expect(bench.sent).toEqual([`a ${OK}`])
  })

  it('is refused when nothing proves that its shard is still owned here', () => {
    const bench = new Bench()
    bench.mayAnswer = false
    bench.reply('read').ok()
    bench.turn()
    expect(bench.sent).toEqual([`read ${line(refusals.unavailable)}`])
    bench.push('a')
    bench.turn()
    bench.durable(1)
    expect(bench.sent.at(-1)).toBe(`a ${OK}`)
  })
})

describe('records that are not durable in time', () => {
  it('make a command unknown, with its reqId, and leave refusals as they are', () => {
    const bench = new Bench()
    bench.push('a', '"x\\"y"')
    bench.push('b', '17')
    bench.reply('c', '3').refused(refusals.queueEmpty)
    bench.turn()
    bench.hold.refuseReplies(bench.log, refusals.notStored)
    expect(bench.sent).toEqual([
      `a ${line(refusals.notStored, '"x\\"y"')}`,
      `b ${line(refusals.notStored, '17')}`,
      `c ${line(refusals.queueEmpty, '3')}`,
    ])
    bench.durable(2)
    expect(bench.sent).toHaveLength(3)
  })

  it('give back the jobs of a pull, which did not run', () => {
    const bench = new Bench()
    bench.log.append()
    const slot = bench.hold.slot(new NamedSlot('pull', bench.sent), '', null)
    slot.open().ascii('{"ok":true,"job":{"id":7}}\n')
    slot.close(handed)
    bench.turn()
    bench.hold.refuseReplies(bench.log, refusals.notStored)
    expect(bench.sent).toEqual([`pull ${line(refusals.unavailable)}`])
    expect(bench.returned).toEqual([handed])
  })

  it('refuse the oldest turn otherwise than those behind it when the log is over', () => {
    const bench = new Bench()
    bench.push('bad')
    bench.turn()
    bench.push('good')
    bench.turn()
    bench.hold.drop(bench.log, refusals.unavailable, refusals.storageRefused)
    expect(bench.sent).toEqual([
      `bad ${line(refusals.storageRefused)}`,
      `good ${line(refusals.unavailable)}`,
    ])
  })
})

describe('a log that is over', () => {
  it('says that a turn did not run only when nothing of it is stored', () => {
    const bench = new Bench()
    const other = new FakeLog()
    bench.push('part 1')
    bench.push('part 2')
    bench.turn()
    bench.push('other', null, other)
    bench.push('mixed')
    bench.turn(bench.log, other)
    bench.push('after')
    bench.turn()
    bench.log.durableMark = 1
    bench.hold.drop(bench.log, refusals.unavailable, refusals.storageRefused)
    expect(bench.sent).toEqual([
      `part 1 ${line(refusals.notStored)}`,
      `part 2 ${line(refusals.notStored)}`,
      `other ${line(refusals.notStored)}`,
      `mixed ${line(refusals.notStored)}`,
      `after ${line(refusals.unavailable)}`,
    ])
  })

  it('blames no turn for what a timer did', () => {
    const bench = new Bench()
    bench.log.append()
    bench.turn()
    bench.push('a')
    bench.turn()
    bench.hold.drop(bench.log, refusals.unavailable, refusals.storageRefused)
    expect(bench.sent).toEqual([`a ${line(refusals.unavailable)}`])
  })
})

describe('without waiting', () => {
  it('what was recorded while nothing proves the owner is unknown, and what was not did not run', () => {
    const bench = new Bench(false)
    bench.mayAnswer = false
    bench.push('a')
    bench.turn()
    bench.reply('read').ok()
    bench.turn()
    expect(bench.sent).toEqual([
      `a ${line(refusals.notStored)}`,
      `read ${line(refusals.unavailable)}`,
    ])
  })
})

describe('a letter', () => {
  it('is sent when its turn is durable, whatever the mode, and not when the log is over', () => {
    for (const waits of [true, false]) {
      const bench = new Bench(waits)
      const letters: string[] = []
      bench.hold.letter(bench.log, () => letters.push('a'))
      bench.push('a')
      bench.turn()
      bench.hold.letter(bench.log, () => letters.push('b'))
      bench.push('b')
      bench.turn()
      expect(letters).toEqual([])
      bench.hold.refuseReplies(bench.log, refusals.notStored)
      bench.durable(1)
      expect(letters).toEqual(['a'])
      bench.hold.drop(bench.log, refusals.notStored)
      bench.durable(2)
      expect(letters).toEqual(['a'])
    }
  })
})

describe('the end of a turn', () => {
  it('sends what was recorded when the loop has read all connections', async () => {
    const bench = new Bench()
    bench.push('a')
    bench.turn()
    bench.push('b')
    bench.turn()
    expect(bench.log.flushes).toBe(0)
    await new Promise((resolve) => setImmediate(resolve))
    expect(bench.log.flushes).toBe(1)
  })

  it('a waiting pull whose shard moves is asked again, and leaves no line', () => {
    const bench = new Bench()
    let bounced = 0
    const pull = bench.reply('pull', null, () => bounced++)
    const push = bench.reply('push')
    bench.hold.isBouncing = true
    onTestFinished(() => expect(bounced).toBe(1))
    pull.refused(refusals.draining)
    push.ok()
    bench.hold.isBouncing = false
    bench.turn()
    expect(bench.sent).toEqual([`push ${OK}`])
  })
})

function line({ text, code }: { text: string; code: string }, reqId: string | null = null): string {
  const id = reqId === null ? '' : `,"reqId":${reqId}`
  return `{"ok":false${id},"error":${JSON.stringify(text)},"code":"${code}"}`
}
