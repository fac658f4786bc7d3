import { describe, expect, it } from 'vitest'
import { type ServerSentEvent, SseParser } from '../../../sdk/typescript/src/http/sse-parser.ts'

function parse(...pieces: string[]): ServerSentEvent[] {
  const parser = new SseParser()
  return pieces.flatMap((piece) => parser.feed(piece))
}

const STREAM =
  ': keep-alive\r\n\r\nid: 1\nevent: pushed\ndata: {"a":\ndata: "é"}\n\nretry: 250\rdata:x\r\rid\ndata\n\nevent: no data\n\ndata: end\r\n\r\n'
const EVENTS = [
  { type: 'pushed', data: '{"a":\n"é"}', id: '1' },
  { type: 'message', data: 'x', id: '1' },
  { type: 'message', data: '', id: '' },
  { type: 'message', data: 'end', id: '' },
]

describe('server-sent events', () => {
  it('are read by their fields', () => {
    expect(parse(STREAM)).toEqual(EVENTS)
  })

  it('are the same wherever the stream is cut in two', () => {
    for (let cut = 0; cut <= STREAM.length; cut += 1) {
      expect(parse(STREAM.slice(0, cut), STREAM.slice(cut)), `cut at ${cut}`).toEqual(EVENTS)
    }
  })

  it('are the same when every character comes alone, with nothing between', () => {
    expect(parse(...[...STREAM].flatMap((char) => [char, '']))).toEqual(EVENTS)
  })

  it('are the same when their bytes are cut anywhere, within a character too', () => {
    const bytes = new TextEncoder().encode(STREAM)
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const decoder = new TextDecoder()
      const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)].map((part) =>
        decoder.decode(part, { stream: true }),
      )
      expect(parse(...pieces), `cut at ${cut}`).toEqual(EVENTS)
    }
  })

  it('tell the time to wait before a new connection', () => {
    const parser = new SseParser()
    parser.feed('retry: 250\nretry: soon\n\n')
    expect(parser.retryMs).toBe(250)
  })

  it('without data count by their id alone', () => {
    const parser = new SseParser()
    expect(parser.feed('id: 9\n\n')).toEqual([])
    expect(parser.lastId).toBe('9')
  })

  it('that never end are refused', () => {
    const parser = new SseParser()
    const piece = `data: ${'x'.repeat(8 * 1024 * 1024)}\n`
    expect(() => {
      for (let times = 0; times < 10; times += 1) parser.feed(piece)
    }).toThrow(RangeError)
  })
})
