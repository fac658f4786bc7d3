// What the connection must know of a frame before it hands it on: its own commands (AUTH, HELLO,
// SUBSCRIBE, UNSUBSCRIBE) stay here, and a pull may wait.
//
//   {"cmd":"PULLB", …      a frame that begins as clients write it says so in its first bytes;
//   01234567^^^^^          any other one, and one that may be of our own, is UNSURE: it must be scanned
//
// A name with escapes in it never passes for another one: what follows the quote must be capitals.

import { Op } from '../../engine/op.ts'

/** What a frame asks for, as far as its reply's place is concerned. */
export const Asked = { other: 0, pull: 1, pullBatch: 2 } as const
export type Asked = (typeof Asked)[keyof typeof Asked]

export const UNSURE = -1

/** Which runs of jobs a frame ends if it succeeds: ACK, ACKB, FAIL, RELEASE. */
export const Ends = { nothing: 0, one: 1, several: 2, failed: 3, returned: 4 } as const
export type Ends = (typeof Ends)[keyof typeof Ends]

const LETTER_A = 0x41
const LETTER_B = 0x42
const LETTER_C = 0x43
const LETTER_E = 0x45
const LETTER_F = 0x46
const LETTER_H = 0x48
const LETTER_L = 0x4c
const LETTER_P = 0x50
const LETTER_R = 0x52
const LETTER_S = 0x53
const LETTER_U = 0x55
const LETTER_Z = 0x5a

/** Bytes behind the frame's end are not trusted, but may be looked at: a scan or the gate reads it again. */
export function lookAt(bytes: Buffer, from: number): Asked | typeof UNSURE {
  if (!hasPrefix(bytes, from)) return UNSURE
  const first = bytes[from + 8]
  const second = bytes[from + 9]
  if (!isCapital(first) || !isCapital(second) || first === LETTER_U) return UNSURE
  if (first === LETTER_H) return bytes[from + 10] === LETTER_A ? Asked.other : UNSURE
  if (second !== LETTER_U) return Asked.other
  if (first === LETTER_A || first === LETTER_S) return UNSURE
  if (first !== LETTER_P) return Asked.other
  const third = bytes[from + 10]
  if (!isCapital(third) || !isCapital(bytes[from + 11])) return UNSURE
  if (third !== LETTER_L) return Asked.other
  return bytes[from + 12] === LETTER_B ? Asked.pullBatch : Asked.pull
}

/** The same of a frame that `lookAt` was sure of. */
export function endsWhat(bytes: Buffer, from: number): Ends {
  const first = bytes[from + 8]
  const second = bytes[from + 9]
  if (first === LETTER_A && second === LETTER_C) {
    return bytes[from + 11] === LETTER_B ? Ends.several : Ends.one
  }
  if (first === LETTER_F && second === LETTER_A) return Ends.failed
  const isRelease = first === LETTER_R && second === LETTER_E && bytes[from + 10] === LETTER_L
  return isRelease ? Ends.returned : Ends.nothing
}

export function endedBy(op: number): Ends {
  switch (op) {
    case Op.ACK:
      return Ends.one
    case Op.ACKB:
      return Ends.several
    case Op.FAIL:
      return Ends.failed
    case Op.RELEASE:
      return Ends.returned
    default:
      return Ends.nothing
  }
}

export function askedBy(op: number): Asked {
  if (op === Op.PULL) return Asked.pull
  return op === Op.PULLB ? Asked.pullBatch : Asked.other
}

/** `{"cmd":"` */
function hasPrefix(bytes: Buffer, from: number): boolean {
  return (
    bytes[from] === 0x7b &&
    bytes[from + 1] === 0x22 &&
    bytes[from + 2] === 0x63 &&
    bytes[from + 3] === 0x6d &&
    bytes[from + 4] === 0x64 &&
    bytes[from + 5] === 0x22 &&
    bytes[from + 6] === 0x3a &&
    bytes[from + 7] === 0x22
  )
}

function isCapital(byte: number | undefined): boolean {
  return byte !== undefined && byte >= LETTER_A && byte <= LETTER_Z
}
