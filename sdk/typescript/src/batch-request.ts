// What pushes and acks that travel together have in common: calls are added until the frame is sent or full.

import { Request } from './request.ts'

/** The server's limit of a PUSHB or ACKB. */
export const BATCH_CALLS_MAX = 1000
/** Of a frame's text; at most three bytes of UTF-8 each, far below the server's 16 MiB. */
export const BATCH_CHARS_MAX = 1024 * 1024

export abstract class BatchRequest extends Request {
  #chars = 0

  /** The calls wait in it from here on. */
  protected grow(chars: number): void {
    this.#chars += chars
  }

  /** A first call always fits, however long. */
  hasRoomFor(chars: number): boolean {
    if (this.calls === 0) return true
    return this.calls < BATCH_CALLS_MAX && this.#chars + chars <= BATCH_CHARS_MAX
  }
}
