// What one worker says to a command that asks all shards (gather.ts), and its bytes on a link.
//
//   [u32 bytes][JSON of shards and value][body]

import type { ByteWriter } from '../engine/byte-writer.ts'
import { putU32 } from './link-frames.ts'

export interface Part {
  /** That it is about: bit per shard. */
  readonly shards: number
  readonly value: unknown
  /** The jobs of LISTJOBS, which are JSON already. */
  readonly body: Buffer
}

export function putPart(out: ByteWriter, { shards, value, body }: Part): void {
  const json = Buffer.from(JSON.stringify({ shards, value }))
  putU32(out, json.length)
  out.copy(json, 0, json.length)
  out.copy(body, 0, body.length)
}

/** Keeps nothing of `bytes`. */
export function readPart(bytes: Buffer, from: number, to: number): Part {
  const jsonFrom = from + 4
  const bodyFrom = jsonFrom + bytes.readUInt32LE(from)
  const { shards, value } = JSON.parse(bytes.toString('utf8', jsonFrom, bodyFrom)) as Part
  return { shards, value, body: Buffer.from(bytes.subarray(bodyFrom, to)) }
}
