import { describe, expect, it } from 'vitest'
import { StringCache } from '../../../../src/transports/wire/string-cache.ts'

function get(cache: StringCache, text: string): string {
  const bytes = Buffer.from(`"${text}"`)
  return cache.get(bytes, 1, bytes.length - 1)
}

describe('StringCache', () => {
  it('gives the text, the first time and the next', () => {
    const cache = new StringCache()
    const texts = [
      '',
      'a',
      'mail',
      'liam',
      'warteschlange-ä',
      'q'.repeat(64),
      'q'.repeat(65),
      '日本語',
    ]
    for (const text of [...texts, ...texts]) expect(get(cache, text)).toBe(text)
  })

  it('tells names apart that share a slot', () => {
    const cache = new StringCache()
    const texts = Array.from({ length: 2000 }, (_, n) => `queue-${n}`)
    for (const text of [...texts, ...texts]) expect(get(cache, text)).toBe(text)
  })

  it('decodes escapes', () => {
    const cache = new StringCache()
    for (let n = 0; n < 2; n++) {
      expect(get(cache, '\\u0071\\n')).toBe('q\n')
      expect(get(cache, `${'x'.repeat(80)}\\t`)).toBe(`${'x'.repeat(80)}\t`)
    }
  })
})
