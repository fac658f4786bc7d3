// Text messages to a WebSocket client, as bytes (RFC 6455, 5.2): one frame each, not masked, not compressed.

const TEXT = 0x81
const SHORT_MAX = 125
const MIDDLE_MAX = 0xffff

export function frameBytes(length: number): number {
  if (length <= SHORT_MAX) return 2 + length
  return (length <= MIDDLE_MAX ? 4 : 10) + length
}

/** Writes it to `out[at..]`, which has room; returns where it ends. */
export function putFrame(out: Buffer, at: number, text: Buffer): number {
  const { length } = text
  let to = at
  out[to++] = TEXT
  if (length <= SHORT_MAX) {
    out[to++] = length
  } else if (length <= MIDDLE_MAX) {
    out[to++] = 126
    to = out.writeUInt16BE(length, to)
  } else {
    out[to++] = 127
    to = out.writeBigUInt64BE(BigInt(length), to)
  }
  return to + text.copy(out, to)
}
