import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exactText, parseJson } from '../../../sdk/typescript/src/exact-json.ts'

const BIG = '12345678901234567890'

describe('exact JSON', () => {
  it('keeps integers beyond 2^53, and only these, as bigint', () => {
    const text = `{"a":[${BIG},-${BIG},9007199254740991,9007199254740992],"b":1.5e3,"c":${BIG}.5}`
    expect(parseJson(text, true)).toEqual({
      a: [BigInt(BIG), -BigInt(BIG), 9007199254740991, 9007199254740992n],
      b: 1500,
      c: Number(`${BIG}.5`),
    })
  })

  it('is the built-in parser when it is not asked for', () => {
    expect(parseJson(`[${BIG}]`, false)).toEqual([Number(BIG)])
  })

  it('reads strings that look like the rest', () => {
    const text = `{"a\\"}":"\\u00e9 ${BIG} ]}, \\\\","":[{},[],true,false,null]}`
    expect(parseJson(text, true)).toEqual({
      'a"}': `é ${BIG} ]}, \\`,
      '': [{}, [], true, false, null],
    })
  })

  it('does not let a key become a prototype', () => {
    const value = parseJson(`{"__proto__":${BIG}}`, true)
    expect(Object.keys(value as object)).toEqual(['__proto__'])
  })

  it('refuses what is no JSON', () => {
    for (const text of [`[${BIG}`, `{"a":${BIG},}`, `[${BIG},,1]`, `0${BIG}`, '']) {
      expect(() => parseJson(text, true), text).toThrow(SyntaxError)
    }
  })

  it('agrees with the built-in parser and writer about everything else', () => {
    fc.assert(
      fc.property(
        fc.json().filter(hasNoBigInteger),
        fc.constantFrom('', ' ', '\n\t'),
        (text, space) => {
          // The run of digits makes the slow way be taken.
          const padded = `${space}[${text},${space}${BIG}${space}]`
          const [value] = parseJson(padded, true) as unknown[]
          expect(value).toEqual(JSON.parse(text))
          expect(exactText(value)).toBe(JSON.stringify(JSON.parse(text)))
          expect(exactText(value, '  ')).toBe(JSON.stringify(JSON.parse(text), null, '  '))
        },
      ),
    )
  })

  it('is written as it was read', () => {
    const text = `{"n":${BIG},"list":[-${BIG}]}`
    expect(exactText(parseJson(text, true))).toBe(text)
  })
})

function hasNoBigInteger(text: string): boolean {
  return !/\d{16}/.test(text)
}
