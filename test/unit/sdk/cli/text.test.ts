// What commands write is made of: amounts, plain text, tables, suggestions, URLs.

import { describe, expect, it } from 'vitest'
import * as amounts from '../../../../sdk/typescript/src/cli/amounts.ts'
import { cut, plain, plainJson, widthOf } from '../../../../sdk/typescript/src/cli/plain-text.ts'
import { barText } from '../../../../sdk/typescript/src/cli/progress-bar.ts'
import { distance, nearest } from '../../../../sdk/typescript/src/cli/suggestion.ts'
import { fieldLines, tableLines } from '../../../../sdk/typescript/src/cli/table.ts'

const ESC = '\u001b'

describe('amounts', () => {
  it('are read with their units', () => {
    const read = ['250', '250ms', '1.5s', '2m', '1h', '7d'].map(amounts.parseDuration)
    expect(read).toEqual([250, 250, 1500, 120_000, 3_600_000, 604_800_000])
    expect(['', 's', '1w', '-1s', '1 s', '99999999999999d'].map(amounts.parseDuration)).toEqual(
      Array(6).fill(null),
    )
  })

  it('are written for people', () => {
    expect([0, 999, 1500, 200_000, 7_500_000, 273_600_000].map(amounts.durationText)).toEqual([
      '0 ms',
      '999 ms',
      '1.5 s',
      '3 m 20 s',
      '2 h 5 m',
      '3 d 4 h',
    ])
    expect(amounts.durationText(3_600_000)).toBe('1 h')
    expect([0, 0.44, 12, 12.6, 1234567, -3.25].map(amounts.rateText)).toEqual([
      '0',
      '0.4',
      '12',
      '13',
      '1,234,567',
      '-3.3',
    ])
    expect([0, 1795522037904, Number.NaN, 1e300].map(amounts.momentText)).toEqual([
      '-',
      '2026-11-24 12:07:17.904Z',
      '-',
      '-',
    ])
  })
})

describe('text for a terminal', () => {
  it('shows controls, and executes none', () => {
    expect(plain(`a${ESC}[2Jb\r\n\u009b31m\u0007\u202eevil\u2066`)).toBe(
      'a\\u001b[2Jb\\u000d\\n\\u009b31m\\u0007\\u202eevil\\u2066',
    )
    expect(plain('tag \u{e0041}')).toBe('tag \\udb40\\udc41')
  })

  it('leaves JSON the JSON that it is', () => {
    const value = { a: `\u009b\u202e\u2028é${ESC}` }
    const text = plainJson(JSON.stringify(value, null, 2))
    expect(text).toBe('{\n  "a": "\\u009b\\u202e\\u2028é\\u001b"\n}')
    expect(JSON.parse(text)).toEqual(value)
  })

  it('is measured in columns', () => {
    expect(['abc', 'é', 'e\u0301', '漢字', '🎉'].map(widthOf)).toEqual([3, 1, 1, 4, 2])
    expect(cut('漢字漢字', 5)).toBe('漢字…')
    expect(cut('abc', 3)).toBe('abc')
    expect(cut('abcd', 3)).toBe('ab…')
    expect(cut('abcd', 0)).toBe('')
  })
})

describe('a table', () => {
  const columns = [
    { head: 'NAME', cell: (row: [string, number]) => row[0], elastic: true },
    { head: 'N', cell: (row: [string, number]) => `${row[1]}`, right: true },
    { head: 'MORE', cell: (row: [string, number]) => row[0], elastic: true },
  ]

  it('stands in columns, numbers on the right, controls made plain', () => {
    expect(
      tableLines(
        columns,
        [
          ['a', 1000],
          [`漢\n`, 2],
        ],
        0,
      ),
    ).toEqual(['NAME     N  MORE', 'a     1000  a', '漢\\n     2  漢\\n'])
  })

  it('fits the terminal: what is elastic gives way, the widest first', () => {
    const lines = tableLines(columns, [['x'.repeat(60), 1]], 40)
    expect(lines.map(widthOf)).toEqual([expect.any(Number), 40])
    expect(lines[1]).toBe(`${'x'.repeat(16)}…  1  ${'x'.repeat(17)}…`)
  })

  it('gives up fitting before it says nothing', () => {
    expect(tableLines(columns, [['x'.repeat(60), 1]], 3)[1]).toBe(`xxxxxxx…  1  xxxxxxx…`)
  })

  it('of fields aligns their values', () => {
    expect(
      fieldLines([
        ['A', '1'],
        ['Longer', ESC],
      ]),
    ).toEqual(['A       1', 'Longer  \\u001b'])
  })
})

describe('a suggestion', () => {
  it('is the nearest word, when one is near', () => {
    const words = ['push', 'pull', 'queues', 'stats']
    expect(
      ['psuh', 'pul', 'queue', 'stat', 'qu', 'zzz', 'p'].map((word) => nearest(word, words)),
    ).toEqual(['push', 'pull', 'queues', 'stats', 'queues', null, null])
    expect([distance('', 'ab'), distance('ab', 'ba'), distance('kitten', 'sitting')]).toEqual([
      2, 1, 3,
    ])
  })
})

describe('a progress bar', () => {
  it('shows the share, the jobs and their rate', () => {
    expect(barText(0.5, 5000, 1000)).toBe('[############············]  50%  5,000 jobs  5,000/s')
    expect(barText(null, 0, 0)).toBe('0 jobs  0/s')
  })
})
