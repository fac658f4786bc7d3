import { describe, expect, it } from 'vitest'
import { scatter } from '../../../src/cluster/scatter.ts'
import { Command } from '../../../src/engine/command.ts'
import type { ItemRefusal, Reply } from '../../../src/engine/ports.ts'
import { wireCodec } from '../../../src/transports/wire/codec.ts'

function scanned(frame: object): Command {
  const command = new Command()
  const bytes = Buffer.from(`${JSON.stringify(frame)}\n`)
  expect(wireCodec.scan(bytes, 0, bytes.length - 1, command)).toBeNull()
  return command
}

function counted() {
  const answers: { count: number; refused: readonly ItemRefusal[] }[] = []
  const reply = {
    counted: (count: number, refused: readonly ItemRefusal[]) =>
      answers.push({ count, refused: [...refused] }),
  } as unknown as Reply
  return { reply, answers }
}

function answer(
  part: { slot: { open(): { utf8(text: string): void }; close(h: null): void } },
  line: object,
) {
  part.slot.open().utf8(`${JSON.stringify(line)}\n`)
  part.slot.close(null)
}

const parity = (id: number): number => id % 2

describe('a batch of ids of several owners', () => {
  it('becomes one line per owner, with the tokens and results of its ids', () => {
    const results = [{ a: 1 }, null, 'three', [4]]
    const command = scanned({
      cmd: 'ACKB',
      ids: [2, 3, 4, 5],
      tokens: [10, null, 30, 40],
      results,
      reqId: 1,
    })
    const parts = scatter(command, counted().reply, parity)
    expect(parts.map(({ line }) => JSON.parse(line.toString()))).toEqual([
      { cmd: 'ACKB', ids: [2, 4], tokens: [10, 30], results: [{ a: 1 }, 'three'] },
      { cmd: 'ACKB', ids: [3, 5], tokens: [null, 40], results: [null, [4]] },
    ])
    for (const { line } of parts) expect(line.at(-1)).toBe(0x0a)
  })

  it('keeps the lease of a HEARTBEAT', () => {
    const command = scanned({ cmd: 'HEARTBEAT', ids: [2, 3], lease: 5000 })
    const lines = scatter(command, counted().reply, parity).map(({ line }) => line.toString())
    expect(lines).toEqual([
      '{"cmd":"HEARTBEAT","ids":[2],"lease":5000}\n',
      '{"cmd":"HEARTBEAT","ids":[3],"lease":5000}\n',
    ])
  })

  it('is answered once, when every part is, with the items as they were numbered', () => {
    const { reply, answers } = counted()
    const [even, odd] = scatter(scanned({ cmd: 'ACKB', ids: [2, 3, 4, 5, 6] }), reply, parity)
    if (even === undefined || odd === undefined) throw new Error('two parts')
    const error = (index: number) => ({ index, error: 'no', code: 'job_not_found' })
    answer(odd, { ok: true, ids: [1], errors: [error(1)] })
    expect(answers).toEqual([])
    answer(even, { ok: true, ids: [1], errors: [error(0), error(2)] })
    const refusal = { code: 'job_not_found', text: 'no' }
    expect(answers).toEqual([
      {
        count: 2,
        refused: [
          { index: 0, refusal },
          { index: 3, refusal },
          { index: 4, refusal },
        ],
      },
    ])
  })

  it('says of each id of a part that failed that it failed', () => {
    const { reply, answers } = counted()
    const [even, odd] = scatter(scanned({ cmd: 'RELEASE', ids: [2, 3, 4] }), reply, parity)
    if (even === undefined || odd === undefined) throw new Error('two parts')
    answer(even, { ok: false, error: 'who knows', code: 'outcome_unknown' })
    answer(odd, { ok: true, ids: [1] })
    expect(answers[0]?.count).toBe(1)
    expect(answers[0]?.refused.map(({ index, refusal }) => [index, refusal.code])).toEqual([
      [0, 'outcome_unknown'],
      [2, 'outcome_unknown'],
    ])
  })
})
