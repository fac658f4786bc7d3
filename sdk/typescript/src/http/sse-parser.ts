// Server-sent events: text in pieces, events out. (WHATWG HTML, section 9.2.6.)
//
//   id: 17 ⏎ event: pushed ⏎ data: {"a": ⏎ data: 1} ⏎ ⏎   ──▶  { id: '17', type: 'pushed', data: '{"a":\n1}' }
//
// 1. A piece may end anywhere, between CR and LF too; what is not complete waits for the next one.
// 2. An event without data is none, but its id counts.
// 3. What waits is bounded: a line or event beyond it is a broken peer.

export interface ServerSentEvent {
  /** `message` when the server names none. */
  readonly type: string
  readonly data: string
  /** The last id there was, this event's or an earlier one's; empty when none. */
  readonly id: string
}

const CHARS_MAX = 64 * 1024 * 1024

export class SseParser {
  lastId = ''
  /** ms, when the server wished for one. */
  retryMs: number | null = null
  #rest = ''
  #skipLf = false
  #type = ''
  #data: string[] = []
  #dataChars = 0

  /** The events that this piece completes. Throws a RangeError when the peer is broken. */
  feed(piece: string): ServerSentEvent[] {
    const events: ServerSentEvent[] = []
    let text = this.#skipLf && piece.startsWith('\n') ? piece.slice(1) : piece
    if (piece !== '') this.#skipLf = false
    text = this.#rest + text
    let from = 0
    for (;;) {
      const end = lineEnd(text, from)
      if (end < 0) break
      const line = text.slice(from, end)
      from = end + 1
      if (text[end] === '\r') {
        if (from === text.length) this.#skipLf = true
        else if (text[from] === '\n') from += 1
      }
      this.#take(line, events)
    }
    this.#rest = text.slice(from)
    if (this.#rest.length + this.#dataChars > CHARS_MAX) throw new RangeError('an event too long')
    return events
  }

  #take(line: string, events: ServerSentEvent[]): void {
    if (line === '') {
      this.#dispatch(events)
      return
    }
    const colon = line.indexOf(':')
    if (colon === 0) return
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') {
      this.#data.push(value)
      this.#dataChars += value.length
    } else if (field === 'event') this.#type = value
    else if (field === 'id' && !value.includes('\0')) this.lastId = value
    else if (field === 'retry' && /^\d{1,9}$/.test(value)) this.retryMs = Number(value)
  }

  #dispatch(events: ServerSentEvent[]): void {
    if (this.#data.length > 0) {
      const type = this.#type === '' ? 'message' : this.#type
      events.push({ type, data: this.#data.join('\n'), id: this.lastId })
    }
    this.#type = ''
    this.#data = []
    this.#dataChars = 0
  }
}

/** Of the first CR or LF. */
function lineEnd(text: string, from: number): number {
  const lf = text.indexOf('\n', from)
  const cr = text.indexOf('\r', from)
  if (lf < 0 || cr < 0) return Math.max(lf, cr)
  return Math.min(lf, cr)
}
