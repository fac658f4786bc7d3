import { describe, expect, it } from 'vitest'
import { NameTable } from '../../../../src/transports/wire/name-table.ts'

function find(table: NameTable, text: string): number {
  const bytes = Buffer.from(`"${text}"`)
  return table.find(bytes, 1, bytes.length - 1)
}

describe('NameTable', () => {
  const names = ['cmd', 'queue', '', 'release_on_close', 'id', 'ids']
  const table = new NameTable(names)

  it('finds each name by its bytes', () => {
    names.forEach((name, number) => {
      expect(find(table, name)).toBe(name === '' ? -1 : number)
    })
  })

  it('finds nothing that is not a name', () => {
    for (const text of [
      '',
      'c',
      'cmx',
      'Cmd',
      'queues',
      'release_on_closed',
      '\u0000md',
      'é',
      'constructor',
    ]) {
      expect(find(table, text)).toBe(-1)
    }
  })

  it('takes no name that is too long for it, and no two that are the same', () => {
    expect(() => new NameTable(['x'.repeat(17)])).toThrow('too long')
    expect(() => new NameTable(['same', 'same'])).toThrow('separate')
  })
})
