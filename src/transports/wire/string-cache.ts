// Strings for bytes that come again and again, as queue names do: equal bytes give the string made the last time.
//
// 1. One slot per hash; a newcomer takes the slot. So it never grows, and at worst it decodes as if it were not there.
// 2. Bytes with an escape are decoded as JSON and not kept, so a hit needs no look at escapes.

import { decode, holdsEscape } from './json-string.ts'

/** Some hundreds of names in use hardly meet in one slot: a meeting costs ten times a hit. */
const SLOTS = 4096
const TEXT_BYTES_MAX = 64

export class StringCache {
  private readonly texts: string[] = new Array<string>(SLOTS).fill('')
  private readonly lengths = new Uint8Array(SLOTS)
  private readonly letters = new Uint8Array(SLOTS * TEXT_BYTES_MAX)

  /** The text of the JSON string in `bytes[from..to)`, quotes left out (but there, around it). */
  get(bytes: Buffer, from: number, to: number): string {
    const length = to - from
    if (length === 0) return ''
    if (length > TEXT_BYTES_MAX) return decode(bytes, from, to)
    const slot = slotOf(bytes, from, to)
    if (this.lengths[slot] === length) {
      const { letters } = this
      const base = slot * TEXT_BYTES_MAX
      let k = 0
      while (k < length && bytes[from + k] === letters[base + k]) k++
      if (k === length) return this.texts[slot] as string
    }
    return this.keep(slot, bytes, from, to)
  }

  private keep(slot: number, bytes: Buffer, from: number, to: number): string {
    if (holdsEscape(bytes, from, to)) return decode(bytes, from, to)
    const text = bytes.toString('utf8', from, to)
    this.texts[slot] = text
    this.lengths[slot] = to - from
    bytes.copy(this.letters, slot * TEXT_BYTES_MAX, from, to)
    return text
  }
}

function slotOf(bytes: Buffer, from: number, to: number): number {
  let hash = to - from
  for (let i = from; i < to; i++) hash = Math.imul(hash, 31) + (bytes[i] as number)
  return (hash ^ (hash >>> 12)) & (SLOTS - 1)
}

/** Queue names, shared by all readers of frames in this process. */
export const queueNames = new StringCache()
