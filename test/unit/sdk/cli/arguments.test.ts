import { describe, expect, it } from 'vitest'
import { parseArguments } from '../../../../sdk/typescript/src/cli/arguments.ts'
import { COMMANDS } from '../../../../sdk/typescript/src/cli/catalog.ts'
import { COMMON_FLAGS } from '../../../../sdk/typescript/src/cli/command.ts'
import { UsageError } from '../../../../sdk/typescript/src/cli/exit-code.ts'

const NOW_MS = Date.UTC(2026, 10, 24)
const parse = (...args: string[]): ReturnType<typeof parseArguments> =>
  parseArguments(args, COMMANDS, NOW_MS)

describe('a command line', () => {
  it('is a command, its words and its flags, in any order', () => {
    const { command, words, flags } = parse(
      '--url',
      'unix:/x',
      'push',
      '-p',
      '-5',
      'mail',
      '--delay=1.5s',
      '{"a":1}',
      '-t',
      'a,b',
      '-tc',
    )
    expect(command.name).toBe('push')
    expect(words).toEqual(['mail', '{"a":1}'])
    expect(flags.text('url')).toBe('unix:/x')
    expect(flags.integer('priority')).toBe(-5)
    expect(flags.duration('delay')).toBe(1500)
    expect(flags.list('tag')).toEqual(['a', 'b', 'c'])
    expect(flags.has('json')).toBe(false)
  })

  it('has commands of two words, with flags between them', () => {
    const { command, words } = parse('dlq', '--token', 'list', 'retry', 'mail')
    expect(command.name).toBe('dlq retry')
    expect(words).toEqual(['mail'])
  })

  it('takes negative numbers, a dash, and everything after -- for words', () => {
    expect(parse('push', 'q', '-1').words).toEqual(['q', '-1'])
    expect(parse('push', 'q', '-').words).toEqual(['q', '-'])
    expect(parse('fail', '7', '--', '--delivery').words).toEqual(['7', '--delivery'])
  })

  it('reads moments as dates or as ages', () => {
    expect(parse('jobs', '--since', '15m').flags.moment('since')).toBe(NOW_MS - 900_000)
    expect(parse('jobs', '--since', '2026-11-24T10:00:00Z').flags.moment('since')).toBe(
      NOW_MS + 36_000_000,
    )
    expect(parse('jobs', '--since', '1795522037904').flags.moment('since')).toBe(1795522037904)
  })

  const wrong: [args: string[], text: string][] = [
    [[], 'which command?'],
    [['pusj'], 'there is no command "pusj"; did you mean push?'],
    [['qzxw'], 'there is no command "qzxw"'],
    [['dlq'], 'dlq what? One of list, retry, purge'],
    [['dlq', 'lsit'], 'dlq what? One of list, retry, purge; did you mean list?'],
    [['push'], 'push needs <queue>'],
    [['push', 'q', '1', '2'], 'push: "2" is one word too many'],
    [['push', 'q', '1', '--prority', '1'], 'push has no flag --prority; did you mean --priority?'],
    [['push', 'q', '1', '-z'], 'push has no flag -z'],
    [['push', 'q', '1', '--priority'], '--priority needs a value'],
    [['push', 'q', '1', '--priority', '1.5'], '--priority takes a whole number, not "1.5"'],
    [
      ['push', 'q', '1', '--delay', 'soon'],
      '--delay takes a time such as 250ms, 30s, 5m, 2h or 1d, not "soon"',
    ],
    [['push', 'q', '1', '--json=yes'], '--json takes no value'],
    [['ack', '1', '--result', '{'], '--result takes JSON, not "{"'],
    [
      ['jobs', '--state', 'gone'],
      '--state is one of waiting, delayed, active, completed, failed, waiting-children, not "gone"',
    ],
    [
      ['jobs', '--since', 'once'],
      '--since takes a date such as 2026-11-24T10:00:00Z, or a time ago such as 15m, not "once"',
    ],
  ]
  for (const [args, text] of wrong) {
    it(`says what is wrong with: ${args.join(' ')}`, () => {
      expect(complaint(args)).toBe(text)
    })
  }
})

describe('the table of commands', () => {
  it('has every name once, and every flag of a command once', () => {
    const names = COMMANDS.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { name, flags } of COMMANDS) {
      const all = [...flags, ...COMMON_FLAGS]
      const words = all.flatMap((flag) => [
        flag.name,
        ...(flag.short === undefined ? [] : [flag.short]),
      ])
      expect(new Set(words).size, name).toBe(words.length)
    }
  })

  it('names needed words before optional ones', () => {
    for (const { name, words } of COMMANDS) {
      expect(words.join(' '), name).toMatch(/^(?:<[^>]+> ?)*(?:\[[^\]]+\] ?)*$/)
    }
  })
})

function complaint(args: readonly string[]): string {
  try {
    parse(...args)
  } catch (error) {
    return error instanceof UsageError ? error.message : String(error)
  }
  return 'none'
}
