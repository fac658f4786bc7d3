// Bytes in, whole lines out.
//
// 1. A line is found by its newline byte and decoded only when it is complete, so a character that is cut by a chunk's
//    end is never decoded in halves (0x0a is no part of any longer UTF-8 sequence).
// 2. Every byte is searched once: pieces of an unfinished line are kept as they came and joined once.
//
//   chunks   [··········][······][····\n ······\n ···]
//             └ #pieces ────────┘└ joined │       └ kept, next call
//                                 └ #chunk, #offset

const NEWLINE = 0x0a
const NO_BYTES = Buffer.alloc(0)

export class LineReader {
  readonly #lineBytesMax: number
  #chunk: Buffer = NO_BYTES
  #offset = 0
  #pieces: Buffer[] = []
  #piecesBytes = 0

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  /** The chunk before must have been read to its end by `next()`. */
  feed(chunk: Buffer): void {
    this.#chunk = chunk
    this.#offset = 0
  }

  /** The next whole line without its newline, or null when more bytes are needed. Throws on a line over the limit. */
  next(): string | null {
    const end = this.#chunk.indexOf(NEWLINE, this.#offset)
    if (end < 0) {
      this.#keepRest()
      return null
    }
    const line =
      this.#pieces.length === 0
        ? this.#chunk.toString('utf8', this.#offset, end)
        : this.#joinTo(end)
    this.#offset = end + 1
    return line
  }

  #keepRest(): void {
    if (this.#offset < this.#chunk.length) {
      const rest = this.#chunk.subarray(this.#offset)
      this.#pieces.push(rest)
      this.#piecesBytes += rest.length
    }
    this.#chunk = NO_BYTES
    this.#offset = 0
    if (this.#piecesBytes > this.#lineBytesMax) {
      throw new RangeError(`a reply of more than ${this.#lineBytesMax} bytes`)
    }
  }

  #joinTo(end: number): string {
    this.#pieces.push(this.#chunk.subarray(this.#offset, end))
    const line = Buffer.concat(this.#pieces).toString('utf8')
    this.#pieces = []
    this.#piecesBytes = 0
    return line
  }
}
