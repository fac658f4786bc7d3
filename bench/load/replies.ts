// The few facts the load needs from a reply of the FlashQ protocol, read at fixed places of `{"ok":true,"ids":…`.

const letterT = 0x74
const letterJ = 0x6a
const digit0 = 0x30
const digit9 = 0x39
const okAt = 6
const firstKeyAt = 12
/** Behind `{"ok":true,"ids":[`. */
const countAt = 18

export function isOk(buf: Buffer, from: number): boolean {
  return buf[from + okAt] === letterT
}

/** `{"ok":true,"jobs":[…` and `"job":{…` against `"ids":[…`. */
export function carriesJobs(buf: Buffer, from: number): boolean {
  return buf[from + firstKeyAt] === letterJ
}

/** COUNT of an ACKB reply. */
export function acknowledged(buf: Buffer, from: number): number {
  return digitsAt(buf, from + countAt)
}

export function digitsAt(buf: Buffer, from: number): number {
  let value = 0
  for (let at = from; ; at++) {
    const byte = buf[at] ?? 0
    if (byte < digit0 || byte > digit9) return value
    value = value * 10 + (byte - digit0)
  }
}

export function refusal(buf: Buffer, from: number, to: number): Error {
  return new Error(`the server refused: ${buf.toString('utf8', from, Math.min(to, from + 300))}`)
}
