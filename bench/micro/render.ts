// Rendering of replies: ns per job. No sockets, no shard: rows of a store become bytes.
//
//   npx tsc -p tsconfig.json --outDir dist-bench && node dist-bench/bench/micro/render.js
//
// The goal that the design was measured against: 250 ns for a job of 72 bytes in a reply of 1,000.

import { fileURLToPath } from 'node:url'
import { ByteWriter } from '../../src/engine/byte-writer.ts'
import { Command } from '../../src/engine/command.ts'
import { JobState, JobStore, openStartedAt, rowOf } from '../../src/engine/job-store.ts'
import { limits } from '../../src/engine/limits.ts'
import { PayloadStore } from '../../src/engine/payload-store.ts'
import type { JobSource, ReplySlot, SeqList } from '../../src/engine/ports.ts'
import { JsonReply } from '../../src/transports/wire/reply-json.ts'

const NOW_MS = 1_760_000_000_000
const FIRST_SEQ = 1_000_000

class BenchSlot implements ReplySlot {
  unordered = false
  readonly out = new ByteWriter(1 << 20)
  open(): ByteWriter {
    this.out.length = 0
    return this.out
  }
  close(): void {}
}

function sourceOf(count: number, dataBytes: number, jobsPerMs: number): JobSource & SeqList {
  const jobs = new JobStore()
  const payloads = new PayloadStore()
  const data = Buffer.from(JSON.stringify({ text: 'x'.repeat(dataBytes - 11) }))
  const seqs = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const seq = FIRST_SEQ + i
    const page = jobs.open(seq)
    const row = rowOf(seq)
    payloads.put(data, 0, data.length, seq, 1)
    page.state[row] = JobState.active
    page.createdAt[row] = NOW_MS + Math.floor(i / jobsPerMs)
    page.runAt[row] = NOW_MS + Math.floor(i / jobsPerMs)
    page.slab[row] = payloads.slabNo
    page.from[row] = payloads.offset
    page.length[row] = data.length
    openStartedAt(page)[row] = NOW_MS + 9000
    seqs[i] = seq
  }
  return { shard: 5, jobs, payloads, queueName: () => 'orders', seqs, count }
}

/** Best of several repetitions, in ns per job. */
function measure(jobs: number, rounds: number, run: () => void): number {
  let bestNs = Number.POSITIVE_INFINITY
  for (let repeat = 0; repeat < 7; repeat++) {
    const startNs = process.hrtime.bigint()
    for (let round = 0; round < rounds; round++) run()
    bestNs = Math.min(bestNs, Number(process.hrtime.bigint() - startNs) / rounds / jobs)
  }
  return bestNs
}

/** What was rendered → ns per job. */
export function benchRender(rounds: number): Map<string, number> {
  const slot = new BenchSlot()
  const reply = new JsonReply(new Command(), slot)
  const plain = { firstToken: 1, showToken: false }
  const shown = { firstToken: 1, showToken: true }
  const rows = new Map<string, number>()
  for (const bytes of [72, 380]) {
    for (const perMs of [1000, 100, 1]) {
      const source = sourceOf(limits.pullCountMax, bytes, perMs)
      const run = (): void => reply.pulledBatch(source, source, plain)
      rows.set(`PULLB 1,000 of ${bytes} bytes, ${perMs} pushed per ms`, measure(1000, rounds, run))
    }
  }
  const many = sourceOf(limits.pullCountMax, 72, 1000)
  const withTokens = (): void => reply.pulledBatch(many, many, shown)
  rows.set('PULLB 1,000 of 72 bytes with tokens', measure(1000, rounds, withTokens))
  const one = sourceOf(1, 72, 1)
  const pull = (): void => reply.pulled(one, one, plain)
  rows.set('PULL of 72 bytes', measure(1, rounds * 1000, pull))
  const pushBatch = (): void => reply.pushedBatch(FIRST_SEQ * 32, 1000, [])
  rows.set('PUSHB 1,000', measure(1000, rounds, pushBatch))
  const push = (): void => reply.pushed(FIRST_SEQ * 32)
  rows.set('PUSH', measure(1, rounds * 1000, push))
  const ack = (): void => reply.ok()
  rows.set('ACK', measure(1, rounds * 1000, ack))
  return rows
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [title, ns] of benchRender(500)) {
    console.log(`${title.padEnd(48)} ${ns.toFixed(0).padStart(6)} ns per job`)
  }
}
