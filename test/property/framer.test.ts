// The framer against `split`: wherever the stream is cut, the same frames come out.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Framer } from '../../src/transports/wire/framer.ts'

const FRAME_MAX = 12

const piece = fc.constantFrom(
  'a',
  'é',
  '{}',
  '\n',
  '\n',
  '\r\n',
  '\r',
  '\r\r\n',
  'x'.repeat(FRAME_MAX),
  'yyyyyyyy',
)
const stream = fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join('')))
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 })

describe('Framer', () => {
  it('hands out the lines, wherever the stream is cut', () => {
    fc.assert(
      fc.property(stream, cuts, (bytes, at) => {
        expect(frames(chunksOf(bytes, at))).toEqual(expectedFrames(bytes))
      }),
      { numRuns: 2000, seed: 42 },
    )
  })

  it('hands out the same when the stream is cut at every byte', () => {
    const bytes = Buffer.from('{"a":1}\n\n\r\n{"b":"é"}\r\n\rxyz\r\r\n{"c":3}')
    const expected = ['{"a":1}', '', '', '{"b":"é"}', '\rxyz', '{"c":3}']
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const chunks = [
          bytes.subarray(0, first),
          bytes.subarray(first, second),
          bytes.subarray(second),
        ]
        expect(frames(chunks)).toEqual(expected)
      }
    }
    expect(frames([...bytes].map((byte) => Buffer.from([byte])))).toEqual(expected)
  })
})

/** All frames as text, and 'too large' last if that is how it ended. */
function frames(chunks: readonly Buffer[]): string[] {
  const framer = new Framer(FRAME_MAX)
  const found: string[] = []
  const take = (): void => {
    const { bytes, from, to } = framer
    expect([10, 13]).toContain(bytes[to])
    found.push(bytes.toString('utf8', from, to))
  }
  for (const chunk of chunks) {
    // A chunk of its own, with other bytes around it: behind it, what a longer one has left.
    const padded = Buffer.concat([Buffer.from('#'), chunk, Buffer.from('#\n#\n')])
    framer.feed(padded.subarray(1), chunk.length)
    while (framer.next()) take()
    if (framer.tooLarge) break
  }
  if (framer.end()) take()
  return framer.tooLarge ? [...found, 'too large'] : found
}

function expectedFrames(bytes: Buffer): string[] {
  const lines = bytes.toString('latin1').split('\n')
  if (lines.at(-1) === '') lines.pop()
  const found: string[] = []
  for (const line of lines) {
    const frame = Buffer.from(line.replace(/\r+$/, ''), 'latin1')
    if (line.length > FRAME_MAX + 1 || frame.length > FRAME_MAX) return [...found, 'too large']
    found.push(frame.toString())
  }
  return found
}

function chunksOf(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = at.map((part) => Math.floor(part * bytes.length)).sort((a, b) => a - b)
  const edges = [0, ...places, bytes.length]
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end))
}
