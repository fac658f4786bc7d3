// The text of JSON strings. `from` and `to` are those of what is between the quotes, which are there.

const BACKSLASH = 0x5c

/** Up to so many bytes a loop finds one sooner than a call into the runtime. */
const LOOP_BYTES_MAX = 64

export function holdsEscape(bytes: Buffer, from: number, to: number): boolean {
  if (to - from > LOOP_BYTES_MAX) return bytes.subarray(from, to).includes(BACKSLASH)
  for (let i = from; i < to; i++) {
    if (bytes[i] === BACKSLASH) return true
  }
  return false
}

export function decode(bytes: Buffer, from: number, to: number): string {
  if (!holdsEscape(bytes, from, to)) return bytes.toString('utf8', from, to)
  return JSON.parse(bytes.toString('utf8', from - 1, to + 1)) as string
}

/** Whether its text has more than `max` bytes in UTF-8. */
export function isLongerThan(max: number, bytes: Buffer, from: number, to: number): boolean {
  // An escape is never shorter than what it stands for.
  if (to - from <= max) return false
  return !holdsEscape(bytes, from, to) || Buffer.byteLength(decode(bytes, from, to)) > max
}
