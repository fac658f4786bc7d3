// The frames that every side of a comparison is sent, built once before the clock starts.
//
// 1. `payload(n)` is valid JSON of exactly n bytes, so "memory over payload bytes" can be computed from counts.
// 2. No payload holds `{"id":`, which is what the drain looks for in replies (`load/job-ids.ts`).

export const payloadBytesMin = 48

/** A typical small job: a few fields, the last one padded to the exact size. */
export function payload(bytes: number, seed = 0): string {
  if (bytes < payloadBytesMin) throw new Error(`a payload has at least ${payloadBytesMin} bytes`)
  const user = String(100_000 + (seed % 900_000))
  const head = `{"user":${user},"kind":"welcome","note":"`
  return `${head}${'x'.repeat(bytes - head.length - 2)}"}`
}

export function pushFrame(queue: string, dataBytes: number): Buffer {
  return Buffer.from(`{"cmd":"PUSH","queue":"${queue}","data":${payload(dataBytes)}}\n`)
}

export function pushBatchFrame(queue: string, jobs: number, dataBytes: number): Buffer {
  const parts = Array.from({ length: jobs }, (_, i) => `{"data":${payload(dataBytes, i)}}`)
  return Buffer.from(`{"cmd":"PUSHB","queue":"${queue}","jobs":[${parts.join(',')}]}\n`)
}

export function pullBatchFrame(queue: string, count: number): Buffer {
  return Buffer.from(`{"cmd":"PULLB","queue":"${queue}","count":${count}}\n`)
}

/** What follows the ids of an ACKB: nothing, or a result for each of them. */
export function ackBatchTail(count: number, results: boolean): Buffer {
  if (!results) return Buffer.from(']}\n')
  const list = Array.from({ length: count }, (_, i) => `{"sent":true,"n":${i}}`)
  return Buffer.from(`],"results":[${list.join(',')}]}\n`)
}

export const ackBatchHead = Buffer.from('{"cmd":"ACKB","ids":[')
