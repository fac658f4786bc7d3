import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Op, type OpName } from '../../../../src/engine/op.ts'
import {
  type Field,
  fieldNames,
  findField,
  findOp,
  isCommon,
  knownOf,
  lowestField,
  RARE_FROM,
  rareKnownOf,
} from '../../../../src/transports/wire/fields.ts'
import { webhookFieldsOf } from '../../../../src/transports/wire/webhook-fields.ts'

/** cmd → the fields in its row of `proto/protocol.md`. */
function documented(): Map<string, Set<string>> {
  const page = readFileSync(new URL('../../../../proto/protocol.md', import.meta.url), 'utf8')
  const rows = new Map<string, Set<string>>()
  for (const [, cmds = '', cells = ''] of page.matchAll(
    /^\| ((?:`[A-Z]+`(?:, )?)+)(?: \*\*\+\*\*)? \| ([^|]*) \|/gm,
  )) {
    for (const [, cmd = ''] of cmds.matchAll(/`([A-Z]+)`/g)) {
      const own = cells.replace('minus `cmd` and `queue`', '')
      const names = [...own.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
      rows.set(cmd, new Set(names.filter((name) => name !== 'null')))
    }
  }
  for (const name of rows.get('PULL') ?? []) rows.get('PULLB')?.add(name)
  return rows
}

function known(cmd: OpName): Set<string> {
  const op = Op[cmd]
  const names = new Set<string>(webhookFieldsOf[cmd] ?? [])
  for (const [number, name] of fieldNames.entries()) {
    if (name === '' || name === 'cmd' || name === 'reqId') continue
    const set = isCommon(number as Field) ? knownOf[op] : rareKnownOf[op]
    if (((set as number) & (1 << (number % RARE_FROM))) !== 0) names.add(name)
  }
  return names
}

describe('the fields of the commands', () => {
  it('are those of the protocol page, both ways', () => {
    const rows = documented()
    expect([...rows.keys()].sort()).toEqual(Object.keys(Op).sort())
    for (const [cmd, fields] of rows) expect(known(cmd as OpName), cmd).toEqual(fields)
  })

  it('are found by their bytes, escapes included', () => {
    const field = (text: string): number => findField(Buffer.from(`"${text}"`), 1, text.length + 1)
    fieldNames.forEach((name, number) => {
      if (name !== '') expect(field(name)).toBe(number)
    })
    expect(field('\\u0071ueue')).toBe(fieldNames.indexOf('queue'))
    expect(field('Queue')).toBe(-1)
    expect(field('')).toBe(-1)
  })

  it('finds every op by its name, exactly', () => {
    const op = (text: string): number => findOp(Buffer.from(`"${text}"`), 1, text.length + 1)
    for (const [name, number] of Object.entries(Op)) expect(op(name)).toBe(number)
    expect(op('P\\u0055SH')).toBe(Op.PUSH)
    for (const text of ['', 'push', 'PUSHX', 'constructor', '__proto__', '\\u0000'])
      expect(op(text)).toBe(0)
  })

  it('are named by the lowest bit of a set', () => {
    expect(lowestField(0b110)).toBe(fieldNames[1])
    expect(lowestField(1 << 30)).toBe(fieldNames[30])
    expect(lowestField(1, RARE_FROM)).toBe(fieldNames[RARE_FROM])
  })
})
