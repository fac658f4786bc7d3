// The canned replies of the echo ceiling: the same bytes that a real server would send for the frames of `load/frames.ts`.

import { payload } from '../load/frames.ts'

/** An id as a server that has run for a while gives them: 14 digits. */
const firstId = 41_234_567_890_016

export interface CannedReplies {
  push: Buffer
  pushBatch: Buffer
  pull: Buffer
  pullBatch: Buffer
  ack: Buffer
  ackBatch: Buffer
  other: Buffer
}

export function cannedReplies(batch: number, dataBytes: number): CannedReplies {
  const ids = Array.from({ length: batch }, (_, i) => firstId + i * 32)
  const line = (text: string) => Buffer.from(`${text}\n`)
  return {
    push: line(`{"ok":true,"id":${firstId}}`),
    pushBatch: line(`{"ok":true,"ids":[${ids.join(',')}]}`),
    pull: line(`{"ok":true,"job":${job(firstId, dataBytes)}}`),
    pullBatch: line(`{"ok":true,"jobs":[${ids.map((id) => job(id, dataBytes)).join(',')}]}`),
    ack: line('{"ok":true}'),
    ackBatch: line(`{"ok":true,"ids":[${batch}]}`),
    other: line('{"ok":true,"queued":0,"processing":0,"delayed":0,"dlq":0}'),
  }
}

function job(id: number, dataBytes: number): string {
  const head = `{"id":${id},"queue":"bench-0","data":${payload(dataBytes)},"priority":0`
  const times = '"created_at":1760000000000,"run_at":1760000000000,"started_at":1760000000001'
  const limits =
    '"attempts":0,"max_attempts":0,"backoff":0,"ttl":0,"timeout":0,"unique_key":null,"depends_on":[]'
  return `${head},${times},${limits},"progress":0,"progress_msg":null,"tags":[]}`
}
