// Takes the ids out of a PULLB reply without parsing it, and writes the ACKB that answers it.
//
// Ids stand after `{"id":` (the key is first in a job, `proto/protocol.md`). Jobs of one batch have almost the same length,
// so the place of the next one is guessed from the last distance and checked; only a wrong guess searches.

import { ackBatchHead, ackBatchTail } from './frames.ts'

const marker = Buffer.from('{"id":')
const comma = 0x2c
const brace = 0x7b
const quote = 0x22
const letterI = 0x69

export class AckWriter {
  private readonly frame: Buffer
  private readonly tail: Buffer
  private readonly batch: number
  private readonly results: boolean
  /** Jobs of the last reply. */
  count = 0

  constructor(batch: number, results: boolean) {
    this.batch = batch
    this.results = results
    this.tail = ackBatchTail(batch, results)
    this.frame = Buffer.allocUnsafe(ackBatchHead.length + batch * 18 + this.tail.length)
    ackBatchHead.copy(this.frame)
  }

  /** The ACKB for the jobs in `buf[from..to)`; valid until the next call. Empty when there are none. */
  write(buf: Buffer, from: number, to: number): Buffer {
    const out = this.frame
    let end = ackBatchHead.length
    let count = 0
    let stride = 0
    let at = find(buf, from, to, 0)
    while (at !== -1) {
      let digit = at + marker.length
      if (count > 0) out[end++] = comma
      for (let byte = buf[digit]; byte !== undefined && byte !== comma; byte = buf[++digit])
        out[end++] = byte
      count += 1
      const next = find(buf, digit, to, at + stride)
      stride = next - at
      at = next
    }
    this.count = count
    if (count === 0) return out.subarray(0, 0)
    const tail = count === this.batch ? this.tail : ackBatchTail(count, this.results)
    tail.copy(out, end)
    return out.subarray(0, end + tail.length)
  }
}

function find(buf: Buffer, from: number, to: number, guess: number): number {
  if (
    guess > from &&
    guess < to &&
    buf[guess] === brace &&
    buf[guess + 1] === quote &&
    buf[guess + 2] === letterI
  )
    return guess
  const at = buf.indexOf(marker, from)
  return at < to ? at : -1
}
