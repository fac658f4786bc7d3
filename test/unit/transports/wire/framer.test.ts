import { describe, expect, it } from 'vitest'
import { Framer } from '../../../../src/transports/wire/framer.ts'

function drain(framer: Framer): string[] {
  const found: string[] = []
  while (framer.next()) found.push(framer.bytes.toString('latin1', framer.from, framer.to))
  return found
}

describe('Framer', () => {
  it('hands out frames of a chunk in place', () => {
    const framer = new Framer(100)
    const chunk = Buffer.from('one\ntwo\r\n')
    framer.feed(chunk)
    expect(framer.next()).toBe(true)
    expect(framer.bytes).toBe(chunk)
    expect([framer.from, framer.to]).toEqual([0, 3])
    expect(framer.next()).toBe(true)
    expect([framer.from, framer.to]).toEqual([4, 7])
    expect(framer.next()).toBe(false)
  })

  it('takes an empty line, and one of returns only, for an empty frame', () => {
    const framer = new Framer(100)
    framer.feed(Buffer.from('\n\r\n'))
    expect(drain(framer)).toEqual(['', ''])
  })

  it('leaves a return alone that is not at the end of a line', () => {
    const framer = new Framer(100)
    framer.feed(Buffer.from('\ra\rb\r\n'))
    expect(drain(framer)).toEqual(['\ra\rb'])
  })

  it('hands out 10,000 frames of one chunk', () => {
    const framer = new Framer(100)
    framer.feed(Buffer.from('{"cmd":"STATS"}\n'.repeat(10_000)))
    expect(drain(framer)).toHaveLength(10_000)
  })

  it('puts a frame together that comes byte by byte, with the newline behind it', () => {
    const framer = new Framer(100)
    for (const byte of Buffer.from('{"a":"é"}')) {
      framer.feed(Buffer.from([byte]))
      expect(framer.next()).toBe(false)
    }
    framer.feed(Buffer.from('\nrest'))
    expect(framer.next()).toBe(true)
    expect(framer.bytes.toString('utf8', framer.from, framer.to)).toBe('{"a":"é"}')
    expect(framer.bytes[framer.to]).toBe(10)
    expect(framer.next()).toBe(false)
  })

  it('hands out a last line that has no newline, once', () => {
    const framer = new Framer(100)
    framer.feed(Buffer.from('one\ntwo'))
    expect(drain(framer)).toEqual(['one'])
    expect(framer.end()).toBe(true)
    expect(framer.bytes.toString('latin1', framer.from, framer.to)).toBe('two')
    expect(framer.bytes[framer.to]).toBe(10)
    expect(framer.end()).toBe(false)
  })

  it('has no last line when the input ended with a newline, or was empty', () => {
    const framer = new Framer(100)
    expect(framer.end()).toBe(false)
    framer.feed(Buffer.from('one\n'))
    drain(framer)
    expect(framer.end()).toBe(false)
  })

  it.each(['\n', '\r\n'])(
    'takes a frame of exactly the limit, and none of a byte more (%j)',
    (end) => {
      for (const [length, isGood] of [
        [100, true],
        [101, false],
      ] as const) {
        const framer = new Framer(100)
        framer.feed(Buffer.from(`${'x'.repeat(length)}${end}more\n`))
        expect(framer.next()).toBe(isGood)
        expect(framer.tooLarge).toBe(!isGood)
        expect(drain(framer)).toEqual(isGood ? ['more'] : [])
      }
    },
  )

  it('gives up on a line without end as soon as it is over the limit, and holds nothing of it', () => {
    const framer = new Framer(1000)
    let fed = 0
    while (!framer.tooLarge) {
      framer.feed(Buffer.alloc(64, 'x'))
      fed += 64
      expect(framer.next()).toBe(false)
    }
    expect(fed).toBeLessThanOrEqual(1000 + 64 + 1)
    framer.feed(Buffer.from('\n{"cmd":"STATS"}\n'))
    expect(framer.next()).toBe(false)
    expect(framer.end()).toBe(false)
    expect(framer.bytes).toHaveLength(0)
  })

  it('applies a raised limit from the next frame on, in the same chunk', () => {
    const framer = new Framer(10)
    framer.feed(Buffer.from(`auth\n${'x'.repeat(50)}\n`))
    expect(framer.next()).toBe(true)
    framer.frameBytesMax = 100
    expect(framer.next()).toBe(true)
    expect(framer.to - framer.from).toBe(50)
  })

  it('puts a frame of 16 MiB together, and then holds none of it', () => {
    const size = 16 * 1024 * 1024
    const framer = new Framer(size)
    const piece = Buffer.alloc(64 * 1024, 'x')
    for (let fed = 0; fed < size; fed += piece.length) {
      framer.feed(piece)
      expect(framer.next()).toBe(false)
    }
    framer.feed(Buffer.from('\n'))
    expect(framer.next()).toBe(true)
    expect(framer.to - framer.from).toBe(size)
    expect(framer.next()).toBe(false)
    expect(framer.bytes).toHaveLength(0)
    expect(framer.tooLarge).toBe(false)
    expect(framer).toHaveProperty('partial.length', 0)
  })

  it('re-uses what it puts ordinary frames together in', () => {
    const framer = new Framer(1000)
    const buffers = new Set<Buffer>()
    for (let n = 0; n < 5; n++) {
      framer.feed(Buffer.from('{"cmd"'))
      framer.next()
      framer.feed(Buffer.from(':"STATS"}\n'))
      expect(framer.next()).toBe(true)
      buffers.add(framer.bytes)
      framer.next()
    }
    expect(buffers.size).toBe(1)
  })

  it('will not be fed while a chunk still holds frames', () => {
    const framer = new Framer(100)
    framer.feed(Buffer.from('one\ntwo\n'))
    framer.next()
    expect(() => framer.feed(Buffer.from('three\n'))).toThrow('still holds frames')
  })
})
