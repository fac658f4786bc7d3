import { describe, expect, it } from 'vitest'
import { LineReader } from '../../../sdk/typescript/src/line-reader.ts'

const TEXT = '{"a":"é€😀"}\n{"b":"队列"}\n'
const LINES = ['{"a":"é€😀"}', '{"b":"队列"}']

function linesOf(reader: LineReader, chunk: Buffer): string[] {
  const lines: string[] = []
  reader.feed(chunk)
  for (let line = reader.next(); line !== null; line = reader.next()) lines.push(line)
  return lines
}

describe('LineReader', () => {
  it('reads the same lines wherever the bytes are cut', () => {
    const bytes = Buffer.from(TEXT)
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const reader = new LineReader(1000)
      const lines = linesOf(reader, bytes.subarray(0, cut))
      lines.push(...linesOf(reader, bytes.subarray(cut)))
      expect(lines).toEqual(LINES)
    }
  })

  it('reads lines that come byte by byte', () => {
    const reader = new LineReader(1000)
    const lines = [...Buffer.from(TEXT)].flatMap((byte) => linesOf(reader, Buffer.from([byte])))
    expect(lines).toEqual(LINES)
  })

  it('keeps an unfinished line until its newline comes', () => {
    const reader = new LineReader(1000)
    expect(linesOf(reader, Buffer.from('ab'))).toEqual([])
    expect(linesOf(reader, Buffer.from('cd\ne'))).toEqual(['abcd'])
    expect(linesOf(reader, Buffer.from('\n\n'))).toEqual(['e', ''])
  })

  it('counts its limit per line', () => {
    const reader = new LineReader(4)
    for (let time = 0; time < 3; time += 1) {
      expect(linesOf(reader, Buffer.from('abc'))).toEqual([])
      expect(linesOf(reader, Buffer.from('\n'))).toEqual(['abc'])
    }
  })

  it('refuses a line over its limit before it ends', () => {
    const reader = new LineReader(4)
    expect(linesOf(reader, Buffer.from('abcd'))).toEqual([])
    expect(() => linesOf(reader, Buffer.from('e'))).toThrow('more than 4 bytes')
  })
})
