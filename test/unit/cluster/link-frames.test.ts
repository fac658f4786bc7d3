import { describe, expect, it } from 'vitest'
import {
  beginFrame,
  beginReply,
  endFrame,
  endReply,
  FrameKind,
  FrameReader,
  putF64,
  putHanded,
  putRequest,
  putU16,
  putU32,
  readHanded,
} from '../../../src/cluster/link-frames.ts'
import { ByteWriter } from '../../../src/engine/byte-writer.ts'

/** Every kind of body: short, empty, binary, with handed jobs, and one longer than a chunk of a socket. */
function stream(): Buffer {
  const out = new ByteWriter(16)
  const hello = beginFrame(out, FrameKind.hello)
  putU16(out, 31)
  putU32(out, 4_000_000_000)
  endFrame(out, hello)
  const line = Buffer.from('{"cmd":"PUSH","queue":"q","data":1}')
  putRequest(out, 7, 12, 3 * 2 ** 32 + 5, line, 0, line.length)
  const reply = beginReply(out, 12)
  out.ascii('{"ok":true}\n')
  endReply(out, reply, true, { shard: 7, firstToken: 2 ** 40, seqs: Float64Array.of(1, 2 ** 45) })
  endFrame(out, beginFrame(out, FrameKind.mail))
  const long = Buffer.alloc(200_000, 'x')
  putRequest(out, 0, 1, 1, long, 0, long.length)
  const closed = beginFrame(out, FrameKind.sessionClosed)
  putF64(out, 2 ** 50)
  endFrame(out, closed)
  return out.toBuffer()
}

function read(chunks: Iterable<Buffer>): string[] {
  const frames: string[] = []
  const reader = new FrameReader({
    frame(kind, bytes, from, to) {
      // The scanner's sentinel: readable behind the line, also when the frame was put together.
      if (kind === FrameKind.request) expect(bytes[to - 1]).toBe(0x0a)
      frames.push(`${kind}:${bytes.toString('latin1', from, to)}`)
    },
  })
  for (const chunk of chunks) reader.push(chunk)
  return frames
}

describe('link frames', () => {
  const bytes = stream()
  const whole = read([bytes])

  it('come out as they went in', () => {
    expect(whole.map((frame) => Number.parseInt(frame, 10))).toEqual([1, 2, 3, 10, 2, 6])
    expect(whole[1]).toContain('{"cmd":"PUSH","queue":"q","data":1}\n')
    expect(whole[4]?.length).toBeGreaterThan(200_000)
  })

  it('come out the same when the stream is cut at any byte', () => {
    const ends = bytes.length - 400
    for (let at = 0; at <= bytes.length; at++) {
      // The middle of the long frame is all alike.
      if (at > 400 && at < ends && at % 997 !== 0) continue
      expect(read([bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).toEqual(whole)
    }
  })

  it('come out the same in chunks of any size', () => {
    for (const size of [1, 2, 3, 5, 64, 65_536]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      )
      expect(read(chunks), `chunks of ${size}`).toEqual(whole)
    }
  })

  it('are refused when the stream is out of step', () => {
    expect(() => read([Buffer.from([0, 0, 0, 0, 1])])).toThrow('link frame of 0 bytes')
    expect(() => read([Buffer.from('{"cmd":"PUSH"}')])).toThrow('link frame of')
  })

  it('carry the jobs that a reply hands over', () => {
    const out = new ByteWriter(4)
    const handed = { shard: 31, firstToken: 2 ** 52, seqs: Float64Array.of(3, 5, 2 ** 46) }
    out.ascii('xx')
    putHanded(out, handed)
    expect(readHanded(out.bytes, 2, out.length)).toEqual(handed)
  })
})
