// Where the messages of PostgreSQL's protocol begin and end in one direction of a connection.
//
//   tagged     tag (1 byte), length (4 bytes, itself included), body
//   untagged   the client's first message: length, body; before it perhaps a request for TLS, answered by one byte
//
// It only looks: bytes may come in any pieces, and nothing is kept but the head of an unfinished message.

export interface MessageEnd {
  /** A letter; '' for an untagged message. */
  readonly tag: string
  /** Where it begins in the piece; below 0 when it began in an earlier one. */
  readonly from: number
  /** Where it ends in the piece. */
  readonly to: number
}

const SSL_REQUEST = 80_877_103

export class PgMessages {
  /** What the client said of itself at the start. */
  readonly settings = new Map<string, string>()
  private untagged: boolean
  private head = Buffer.alloc(0)
  /** Bytes of the present message that are still to come, once its head is complete. */
  private left = 0
  private seen = 0
  private tag = ''
  private body: Buffer[] = []

  constructor(side: 'client' | 'server') {
    this.untagged = side === 'client'
  }

  /** The messages that end in this piece. */
  feed(piece: Buffer): MessageEnd[] {
    const ends: MessageEnd[] = []
    let at = 0
    while (at < piece.length) {
      const start = at
      if (this.left === 0) at = this.readHead(piece, at)
      const taken = Math.min(this.left, piece.length - at)
      if (this.untagged) this.body.push(piece.subarray(at, at + taken))
      at += taken
      this.left -= taken
      const began = this.seen
      this.seen += at - start
      if (this.left > 0 || this.head.length < this.headSize()) continue
      ends.push({ tag: this.tag, from: start - began, to: at })
      this.finish()
    }
    return ends
  }

  private readHead(piece: Buffer, at: number): number {
    const missing = this.headSize() - this.head.length
    const part = piece.subarray(at, at + missing)
    this.head = Buffer.concat([this.head, part])
    if (this.head.length < this.headSize()) return at + part.length
    this.tag = this.untagged ? '' : String.fromCharCode(this.head[0] as number)
    this.left = this.head.readInt32BE(this.headSize() - 4) - 4
    return at + part.length
  }

  private finish(): void {
    if (this.untagged) this.readStart(Buffer.concat(this.body))
    this.body = []
    this.head = Buffer.alloc(0)
    this.seen = 0
  }

  /** A request for TLS is followed by another untagged message (where TLS is refused). */
  private readStart(body: Buffer): void {
    if (body.length >= 4 && body.readInt32BE(0) === SSL_REQUEST) return
    this.untagged = false
    const words = body.subarray(4).toString('utf8').split('\0')
    for (let i = 0; i + 1 < words.length; i += 2) {
      if (words[i] !== '') this.settings.set(words[i] as string, words[i + 1] as string)
    }
  }

  private headSize(): number {
    return this.untagged ? 4 : 5
  }
}
