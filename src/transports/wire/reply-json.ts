// One reply line: compact JSON, keys in the order of `proto/protocol.md`, `reqId` second, newline last.
//
// In: the calls of `Reply`, from a shard or the gate. Out: bytes in the writer of a slot.
// Next: tcp/connection.ts sends them, a link forwards them.
//
// 1. A line is written and its slot closed within one call; nothing is kept afterwards.
// 2. `reqId` is echoed byte for byte. It is copied when the reply is made, because the command it stands
//    in is scratch; as text with one character per byte, which `ascii` writes back unchanged.
// 3. Jobs that a line hands to a consumer are named to `close`, so that whoever fails to write it
//    can give them back.

import type { ByteWriter } from '../../engine/byte-writer.ts'
import type { Command } from '../../engine/command.ts'
import type { JobId, Seq } from '../../engine/job-id.ts'
import type { JobLog } from '../../engine/job-log.ts'
import type { StateName } from '../../engine/job-store.ts'
import { limits } from '../../engine/limits.ts'
import type {
  CronInfo,
  Delivery,
  ItemRefusal,
  JobSource,
  Metrics,
  QueueInfo,
  Reply,
  ReplySlot,
  SeqList,
  Stats,
  Unwritten,
} from '../../engine/ports.ts'
import type { Refusal } from '../../engine/refusal.ts'
import { ViewOfLast } from './copy-bytes.ts'
import { DecimalRun } from './decimal.ts'
import { writeEnd } from './job-end.ts'
import { writeJob, writeJobs } from './job-json.ts'

const COMMA = 44
const ID_BYTES_MAX = 17

const batchIds = new DecimalRun()
const outputView = new ViewOfLast()

export class JsonReply implements Reply {
  private readonly slot: ReplySlot
  private readonly reqId: string | null

  constructor(command: Command, slot: ReplySlot) {
    const { bytes, reqIdFrom, reqIdTo } = command
    this.slot = slot
    this.reqId = reqIdFrom < 0 ? null : bytes.toString('latin1', reqIdFrom, reqIdTo)
    if (reqIdFrom >= 0) slot.unordered = true
  }

  ok(): void {
    this.end(this.begin(), null)
  }

  refused(refusal: Refusal): void {
    const out = this.slot.open()
    writeRefusalStart(out, refusal, this.reqId)
    this.end(out, null)
  }

  pushed(id: JobId): void {
    const out = this.begin()
    out.ascii(',"id":')
    out.uint(id)
    this.end(out, null)
  }

  pushedBatch(firstId: JobId, count: number, refused: readonly ItemRefusal[]): void {
    const out = this.begin()
    out.ascii(',"ids":[')
    out.reserve(count * ID_BYTES_MAX)
    const view = outputView.of(out.bytes)
    out.length = batchIds.putList(view, out.length, firstId, limits.shards, count)
    out.ascii(']')
    writeItemRefusals(out, refused)
    this.end(out, null)
  }

  counted(count: number, refused: readonly ItemRefusal[]): void {
    const out = this.begin()
    out.ascii(',"ids":[')
    out.uint(count)
    out.ascii(']')
    writeItemRefusals(out, refused)
    this.end(out, null)
  }

  pulled(source: JobSource, list: SeqList, delivery: Delivery | null): void {
    const out = this.begin()
    out.ascii(',"job":')
    if (list.count === 0) out.ascii('null')
    else writeJob(out, source, list.seqs[0] as Seq, shownToken(delivery))
    this.end(out, handedBy(source, list, delivery))
  }

  pulledBatch(source: JobSource, list: SeqList, delivery: Delivery | null): void {
    const out = this.begin()
    out.ascii(',"jobs":')
    writeJobs(out, source, list, shownToken(delivery))
    this.end(out, handedBy(source, list, delivery))
  }

  jobAndState(source: JobSource, seq: Seq, state: StateName): void {
    const out = this.begin()
    out.ascii(',"job":')
    if (seq < 0) out.ascii('null')
    else writeJob(out, source, seq, -1)
    writeState(out, state)
    this.end(out, null)
  }

  jobInFull(source: JobSource, seq: Seq, state: StateName): void {
    const out = this.begin()
    out.ascii(',"job":')
    if (seq < 0) out.ascii('null')
    else writeJob(out, source, seq, -1)
    writeState(out, state)
    writeEnd(out, source, seq)
    this.end(out, null)
  }

  state(id: JobId, state: StateName): void {
    const out = this.begin()
    out.ascii(',"id":')
    out.uint(id)
    writeState(out, state)
    this.end(out, null)
  }

  result(id: JobId, bytes: Buffer | null, from: number, to: number): void {
    const out = this.begin()
    out.ascii(',"id":')
    out.uint(id)
    out.ascii(',"result":')
    if (bytes === null) out.ascii('null')
    else out.copy(bytes, from, to)
    this.end(out, null)
  }

  progress(id: JobId, progress: number, message: string | null): void {
    const out = this.begin()
    out.ascii(',"progress":{"id":')
    out.uint(id)
    out.ascii(',"progress":')
    out.uint(progress)
    out.ascii(',"message":')
    out.utf8(JSON.stringify(message))
    out.byte(125)
    this.end(out, null)
  }

  logs(id: JobId, logs: JobLog | null): void {
    const out = this.begin()
    out.ascii(',"id":')
    out.uint(id)
    const lines = (logs?.lines ?? []).map(({ atMs, line }) => ({ at: atMs, line }))
    out.ascii(',"logs":')
    out.utf8(JSON.stringify(lines))
    out.ascii(',"dropped":')
    out.uint(logs?.dropped ?? 0)
    this.end(out, null)
  }

  stats(stats: Stats): void {
    const out = this.begin()
    const { queued, processing, delayed, dlq } = stats
    out.ascii(`,"queued":${queued},"processing":${processing},"delayed":${delayed},"dlq":${dlq}`)
    this.end(out, null)
  }

  metrics(metrics: Metrics, worker: number): void {
    const out = this.begin()
    out.ascii(',"metrics":')
    out.utf8(
      JSON.stringify({
        total_pushed: metrics.total_pushed,
        total_completed: metrics.total_completed,
        total_failed: metrics.total_failed,
        jobs_per_second: metrics.jobs_per_second,
        avg_latency_ms: metrics.avg_latency_ms,
        queues: metrics.queues.map(({ name, pending, processing, dlq, rate_limit }) => ({
          name,
          pending,
          processing,
          dlq,
          rate_limit,
        })),
        worker,
      }),
    )
    this.end(out, null)
  }

  queues(queues: readonly QueueInfo[]): void {
    const out = this.begin()
    out.ascii(',"queues":')
    out.utf8(
      JSON.stringify(
        queues.map(
          ({ name, pending, processing, dlq, paused, rate_limit, concurrency_limit, worker }) => ({
            name,
            pending,
            processing,
            dlq,
            paused,
            rate_limit,
            concurrency_limit,
            worker,
          }),
        ),
      ),
    )
    this.end(out, null)
  }

  crons(crons: readonly CronInfo[]): void {
    const out = this.begin()
    out.ascii(',"crons":[')
    for (const [i, cron] of crons.entries()) {
      const { name, queue, data, schedule, priority, next_run } = cron
      if (i > 0) out.byte(COMMA)
      out.utf8(`{"name":${JSON.stringify(name)},"queue":${JSON.stringify(queue)},"data":${data}`)
      out.utf8(`,"schedule":${JSON.stringify(schedule)}`)
      out.ascii(`,"priority":${priority},"next_run":${next_run}}`)
    }
    out.byte(93)
    this.end(out, null)
  }

  jobs(bodies: readonly Buffer[], cursor: string | null): void {
    const out = this.begin()
    out.ascii(',"jobs":[')
    for (const [i, body] of bodies.entries()) {
      if (i > 0) out.byte(COMMA)
      out.copy(body, 0, body.length)
    }
    out.ascii(cursor === null ? '],"cursor":null' : `],"cursor":"${cursor}"`)
    this.end(out, null)
  }

  named(name: string, value: unknown): void {
    const out = this.begin()
    out.utf8(`,"${name}":${JSON.stringify(value)}`)
    this.end(out, null)
  }

  private begin(): ByteWriter {
    const out = this.slot.open()
    out.ascii('{"ok":true')
    writeReqId(out, this.reqId)
    return out
  }

  private end(out: ByteWriter, handed: Unwritten | null): void {
    out.ascii('}\n')
    this.slot.close(handed)
  }
}

/** A refusal's whole line, for what fails before there is a command. */
export function writeRefusal(out: ByteWriter, refusal: Refusal): void {
  writeRefusalStart(out, refusal, null)
  out.ascii('}\n')
}

function writeRefusalStart(out: ByteWriter, refusal: Refusal, reqId: string | null): void {
  out.ascii('{"ok":false')
  writeReqId(out, reqId)
  out.ascii(',"error":')
  out.utf8(JSON.stringify(refusal.text))
  out.ascii(',"code":"')
  out.ascii(refusal.code)
  out.ascii('"')
}

function writeReqId(out: ByteWriter, reqId: string | null): void {
  if (reqId === null) return
  out.ascii(',"reqId":')
  out.ascii(reqId)
}

function writeState(out: ByteWriter, state: StateName): void {
  out.ascii(',"state":"')
  out.ascii(state)
  out.ascii('"')
}

function writeItemRefusals(out: ByteWriter, refused: readonly ItemRefusal[]): void {
  if (refused.length === 0) return
  out.ascii(',"errors":[')
  for (let i = 0; i < refused.length; i++) {
    const { index, refusal } = refused[i] as ItemRefusal
    out.ascii(i > 0 ? ',{"index":' : '{"index":')
    out.uint(index)
    out.ascii(',"error":')
    out.utf8(JSON.stringify(refusal.text))
    out.ascii(',"code":"')
    out.ascii(refusal.code)
    out.ascii('"}')
  }
  out.byte(93)
}

function shownToken(delivery: Delivery | null): number {
  return delivery?.showToken ? delivery.firstToken : -1
}

function handedBy(source: JobSource, list: SeqList, delivery: Delivery | null): Unwritten | null {
  if (delivery === null || list.count === 0) return null
  const { shard } = source
  return { shard, seqs: list.seqs.slice(0, list.count), firstToken: delivery.firstToken }
}
