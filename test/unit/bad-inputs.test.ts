// The catalogue of bad inputs has each of its 106 rows once, and every row names answers and tests that there are.

import { existsSync, readFileSync } from 'node:fs'
import { status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { refusalCodes } from '../../src/engine/refusal.ts'
import { httpCodes } from '../../src/transports/http/http-refusal.ts'

interface Row {
  readonly number: number
  readonly doors: string
  readonly answer: string
  readonly shownBy: string
}

const page = readFileSync('docs/bad-inputs.md', 'utf8')
const rows: Row[] = [...page.matchAll(/^\| (\d+) \|(.*)\|(.*)\|(.*)\|(.*)\|$/gm)].map(
  ([, number, , doors = '', answer = '', shownBy = '']) => ({
    ...{ number: Number(number), doors: doors.trim(), answer: answer.trim() },
    shownBy: shownBy.trim(),
  }),
)
const DOORS = 'LHIEWGO'
const NAMED = /^(?:unit|integration)\/[a-z/-]+ "[^"]+"(?:, "[^"]+")*$/
const codes = new Set<string>([...refusalCodes, ...Object.keys(httpCodes), ...Object.keys(status)])
/** Of HTTP, and of what closes a WebSocket. */
const NUMBER = /^(?:200|417|1002|1007|1008|1009)$/
/** Words of an answer that are no code: an event, headers and settings, a name. */
const words = new Set([
  ...['dropped', 'nosniff', 'allow', 'limit[]', '__proto__', '/ws', 'METRICS_QUEUES_MAX', 'Bearer'],
])

describe('the catalogue of bad inputs', () => {
  it('has the rows 1 to 106, in order, each once', () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 106 }, (_, n) => n + 1))
  })

  it('says of each by which doors it comes', () => {
    for (const { number, doors } of rows) {
      const letters = doors.split(' ')
      expect(
        letters.every((each) => each.length === 1 && DOORS.includes(each)),
        `${number}`,
      ).toBe(true)
    }
  })

  it.each(rows.map((row) => [row.number, row] as const))(
    '%i has an answer in codes that there are, and tests that there are',
    (_, { answer, shownBy }) => {
      expect(answer).not.toBe('')
      const said = [...answer.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
      const unknown = said.filter((word) => !codes.has(word) && !NUMBER.test(word))
      expect(unknown.filter((word) => !words.has(word))).toEqual([])
      for (const named of shownBy.split('; ')) {
        expect(named).toMatch(NAMED)
        const file = `test/${named.slice(0, named.indexOf(' '))}.test.ts`
        expect(existsSync(file), file).toBe(true)
        const source = readFileSync(file, 'utf8')
        const titles = [...named.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title)
        expect(titles.filter((title) => !isTitle(source, title))).toEqual([])
      }
    },
  )

  it('names no word in its answers that none of them has', () => {
    const answers = rows.map(({ answer }) => answer).join()
    expect([...words].filter((word) => !answers.includes(`\`${word}\``))).toEqual([])
  })
})

/** Whether it begins a string there, or is in one that a test's title is made of. */
function isTitle(source: string, title: string): boolean {
  return source.split('\n').some((line) => {
    const at = line.indexOf(title)
    return at > 0 && !line.trimStart().startsWith('//') && /['"`]/.test(line.slice(0, at))
  })
}
