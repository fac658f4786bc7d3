// Copying a few bytes between buffers without a call into the runtime.
//
// Measured (Node 20, this class of machine), 72 bytes: byte by byte 90 ns, `Buffer.copy` 90 ns, words
// through DataViews 26 ns; the lines cross near 200 bytes. 64-bit words (as doubles) would save
// 9 ns more, but a double that happens to be a NaN may change on its way.

/** More is better left to `Buffer.copy`. */
export const BY_WORDS_MAX = 192

/** The view of the buffer that was asked for last: buffers come in long runs of the same one. */
export class ViewOfLast {
  private bytes: Buffer = Buffer.alloc(0)
  private view = new DataView(this.bytes.buffer, 0, 0)

  of(bytes: Buffer): DataView {
    if (bytes !== this.bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    return this.view
  }
}

/** A constant piece of text, ready to be copied. */
export class Piece {
  readonly length: number
  readonly view: DataView

  constructor(text: string) {
    const bytes = Buffer.from(text)
    this.length = bytes.length
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}

/** Copies `count` bytes; the regions must not overlap. */
export function copyWords(
  source: DataView,
  from: number,
  target: DataView,
  to: number,
  count: number,
): void {
  if (count < 8) {
    for (let i = 0; i < count; i++) target.setUint8(to + i, source.getUint8(from + i))
    return
  }
  const lastFrom = from + count - 8
  const lastTo = to + count - 8
  for (let i = from, at = to; i < lastFrom; i += 8, at += 8) {
    target.setInt32(at, source.getInt32(i, true), true)
    target.setInt32(at + 4, source.getInt32(i + 4, true), true)
  }
  // The last eight bytes again as one: they may overlap those before, which does no harm.
  target.setInt32(lastTo, source.getInt32(lastFrom, true), true)
  target.setInt32(lastTo + 4, source.getInt32(lastFrom + 4, true), true)
}
