// The commands of principals that may not do everything, whatever door they come through.
//
//   check ──▶ refused                    its scope or its queue says no
//         ──▶ runs                       its queue says yes: the frame goes to the gate as any other
//         ──▶ asks ──▶ run               it names jobs or crons, or lists queues: what is not the principal's is
//                                        looked for first, and then the rest of the frame is run
//
//   ids of jobs      a job of others is answered like one that does not exist; in a list it is refused at its place
//   depends_on       jobs of others, and jobs that are gone, are refused as `dependency_invalid`, on whatever shard
//   crons            one of others is not found; its name can't be taken over (`forbidden`)
//   lists            without what is not the principal's
//
// 1. What is checked can't change before it is run: a job and its queue are one for life. (A cron's name can: then the
//    later command wins, as between two commands of anybody.)
// 2. The worker that a frame is forwarded to checks nothing: only workers of this node reach it, and each checks at
//    the door that the client came through.
//
// Next: job-queues.ts asks for the queues of jobs, own-ids.ts and wire/list-filter.ts take away what is foreign

import type { ByteWriter } from '../../engine/byte-writer.ts'
import { Command } from '../../engine/command.ts'
import { parentsOf } from '../../engine/evolve/pushed.ts'
import { INT_STRIDE, IntColumn, JobFlag } from '../../engine/job-table.ts'
import { limits } from '../../engine/limits.ts'
import { Op, type OpName, opNames, routeOf } from '../../engine/op.ts'
import type { Gate, ItemRefusal, Reply, ReplySlot, Session, WireCodec } from '../../engine/ports.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Answer, Caller } from '../caller.ts'
import { frameOf } from '../wire/frames.ts'
import { filterList } from '../wire/list-filter.ts'
import { borrowWriter, returnWriter } from '../writer-pool.ts'
import { JobQueues } from './job-queues.ts'
import { frameOfPlaces, PartSlot } from './own-ids.ts'
import {
  authorize,
  type ListedQueues,
  listOf,
  mayAll,
  mayUse,
  type Principal,
} from './principal.ts'

const NEWLINE = Buffer.from('\n')
/** No job will ever have it. */
const NOBODYS_ID = Number.MAX_SAFE_INTEGER

export class Guard {
  private readonly gate: Gate
  private readonly codec: WireCodec
  private readonly caller: Caller
  private readonly jobQueues: JobQueues
  /** Scratch. */
  private readonly command = new Command()

  constructor(gate: Gate, codec: WireCodec, caller: Caller) {
    this.gate = gate
    this.codec = codec
    this.caller = caller
    this.jobQueues = new JobQueues(caller)
  }

  /** Of a command that has been scanned. */
  check(principal: Principal, command: Command): Refusal | 'runs' | 'asks' {
    const op = opNames[command.op] as OpName
    const refusal = authorize(principal, op, hasQueue(op) ? command.queue : null)
    if (refusal !== null) return refusal
    return principal.queues === null || !asks(op, command) ? 'runs' : 'asks'
  }

  /**
   * Runs a frame that `asks`, which is copied. `slot` is answered sooner or later. Resolves when the frame is run, so
   * that a later one of the same client is after it.
   */
  async run(principal: Principal, frame: Buffer, slot: ReplySlot, session: Session): Promise<void> {
    const { codec, command } = this
    const line = Buffer.concat([frame, NEWLINE])
    codec.scan(line, 0, line.length - 1, command)
    const op = opNames[command.op] as OpName
    const reply = codec.reply(command, slot)
    const listed = listOf.get(op)
    const job = { principal, op, line, slot, session, reply }
    if (listed !== undefined) this.submit(line, new ListSlot(slot, listed, principal), session)
    else if (routeOf[op] === 'ids') await this.runIds(job)
    else if (routeOf[op] === 'id') await this.runId(job, command.id)
    else if (op === 'CRON' || op === 'CRONDELETE') await this.runCron(job, command.name)
    else await this.runPush(job)
  }

  /** A frame of any kind, for doors that have not looked into it. */
  call(principal: Principal, frame: Buffer, session?: Session): Promise<Answer> {
    if (mayAll(principal)) return this.caller.call(frame, session)
    const { codec, command } = this
    const refusal = codec.scan(frame, 0, frame.length - 1, command)
    const verdict = refusal ?? this.check(principal, command)
    if (verdict === 'runs') return this.caller.call(frame, session)
    return this.caller.answered((slot, itsSession) => {
      if (verdict !== 'asks') codec.reply(command, slot).refused(verdict)
      else
        void this.run(principal, frame.subarray(0, -1), slot, itsSession).then(() =>
          this.gate.turnEnded(),
        )
    }, session)
  }

  /** The same without a promise, where nothing has to be looked for first. `done`: see `Caller.ask`. */
  ask(
    principal: Principal,
    frame: Buffer,
    done: (answer: Answer) => void,
    session?: Session,
  ): void {
    if (mayAll(principal)) this.caller.ask(frame, done, session)
    else void this.call(principal, frame, session).then(done)
  }

  private async runIds(job: Job): Promise<void> {
    const { principal, op, line, slot, session, reply } = job
    const { codec, command } = this
    const ids = [...command.ids.subarray(0, command.idCount)]
    const own = await this.jobQueues.ofPrincipal(principal, ids)
    if ('code' in own) return reply.refused(own)
    const places: number[] = []
    const foreign: ItemRefusal[] = []
    ids.forEach((id, index) => {
      if (own.has(id)) places.push(index)
      else foreign.push({ index, refusal: refusalOf(op, id) })
    })
    if (foreign.length === 0) return this.submit(line, slot, session)
    if (places.length === 0) return reply.counted(0, foreign)
    codec.scan(line, 0, line.length - 1, command)
    const part = new PartSlot(places, foreign, reply)
    this.submit(frameOfPlaces(command, op, places), part, session)
  }

  private async runId(job: Job, id: number): Promise<void> {
    const { principal, op, line, slot, session, reply } = job
    const reqId = reqIdOf(this.command)
    const own = await this.jobQueues.ofPrincipal(principal, [id])
    if ('code' in own) return reply.refused(own)
    if (own.has(id)) return this.submit(line, slot, session)
    switch (op) {
      case 'GETJOB':
        // Its reply does not name the id.
        return this.submit(frameOf(op, { reqId, id: NOBODYS_ID }), slot, session)
      case 'GETSTATE':
        return reply.state(id, 'unknown')
      case 'GETRESULT':
        return reply.result(id, null, 0, 0)
      case 'GETLOGS':
        return reply.logs(id, null)
      default:
        return reply.refused(refusalOf(op, id))
    }
  }

  private async runCron(
    { principal, op, line, slot, session, reply }: Job,
    name: string,
  ): Promise<void> {
    const { line: list } = await this.caller.call(frameOf('CRONLIST', {}))
    const { ok, crons, code, error } = JSON.parse(list.toString()) as CronList
    if (!ok) return reply.refused({ code, text: error })
    const cron = crons.find((each) => each.name === name)
    const isForeign = cron !== undefined && !mayUse(principal, cron.queue)
    if (isForeign && op === 'CRON') reply.refused(refusals.forbidden)
    else if (isForeign) reply.refused(refusals.cronNotFound)
    else this.submit(line, slot, session)
  }

  private async runPush({ principal, line, slot, session, reply }: Job): Promise<void> {
    const parents = parentsIn(this.command)
    const max = limits.guardedParentsMax
    if (parents.size > max)
      return reply.refused(refusals.limitExceeded('dependencies of a batch', max))
    const own = await this.jobQueues.ofPrincipal(principal, parents)
    if ('code' in own) return reply.refused(own)
    for (const parent of parents) {
      if (!own.has(parent)) return reply.refused(refusals.dependencyInvalid(parent))
    }
    this.submit(line, slot, session)
  }

  private submit(line: Buffer, slot: ReplySlot, session: Session): void {
    this.gate.submit(line, 0, line.length - 1, slot, session)
  }
}

/** What is known of a frame while it is checked. */
interface Job {
  readonly principal: Principal
  readonly op: OpName
  readonly line: Buffer
  readonly slot: ReplySlot
  readonly session: Session
  readonly reply: Reply
}

interface CronList {
  readonly ok: boolean
  readonly crons: readonly { name: string; queue: string }[]
  readonly code: Refusal['code']
  readonly error: string
}

/** The reply to a list, before what is not the principal's is taken out of it. */
class ListSlot implements ReplySlot {
  private readonly slot: ReplySlot
  private readonly listed: ListedQueues
  private readonly principal: Principal
  private writer: ByteWriter | null = null

  constructor(slot: ReplySlot, listed: ListedQueues, principal: Principal) {
    this.slot = slot
    this.listed = listed
    this.principal = principal
  }

  get unordered(): boolean {
    return this.slot.unordered
  }

  set unordered(unordered: boolean) {
    this.slot.unordered = unordered
  }

  open(): ByteWriter {
    this.writer = borrowWriter()
    return this.writer
  }

  close(): void {
    const { slot, listed, principal, writer } = this
    if (writer === null) throw new Error('a reply was closed that was not opened')
    const line = filterList(writer.bytes, writer.length, listed.list, (element) => {
      const { [listed.queueKey]: queue } = JSON.parse(element.toString()) as Record<string, string>
      return queue !== undefined && mayUse(principal, queue)
    })
    returnWriter(writer)
    slot.open().copy(line, 0, line.length)
    slot.close(null)
  }
}

function hasQueue(op: OpName): boolean {
  const route = routeOf[op]
  return route === 'queue' || op === 'CRON' || op === 'SUBSCRIBE' || op === 'UNSUBSCRIBE'
}

/** Whether the queue that a command names does not say everything. */
function asks(op: OpName, { jobs, op: number }: Command): boolean {
  const isPush = number === Op.PUSH || number === Op.PUSHB
  if (isPush) return (jobs.flagsSeen & JobFlag.dependsOn) !== 0
  const route = routeOf[op]
  return route !== 'queue' && route !== 'connection'
}

function parentsIn({ bytes, jobs }: Command): Set<number> {
  const parents = new Set<number>()
  for (let row = 0; row < jobs.count; row++) {
    const flags = jobs.ints[row * INT_STRIDE + IntColumn.flags] as number
    if ((flags & JobFlag.dependsOn) === 0) continue
    for (const parent of parentsOf(bytes, jobs, row)) parents.add(parent)
  }
  return parents
}

/** Of an id that was never given out. */
function refusalOf(op: OpName, id: number): Refusal {
  const isOfRun = op === 'PROGRESS' || op === 'HEARTBEAT' || op === 'RELEASE'
  return isOfRun ? refusals.jobNotActive(id) : refusals.jobNotFound(id)
}

/** As it came, and a copy: the command is scratch. */
function reqIdOf({ bytes, reqIdFrom, reqIdTo }: Command): Buffer | undefined {
  return reqIdFrom < 0 ? undefined : Buffer.from(bytes.subarray(reqIdFrom, reqIdTo))
}
