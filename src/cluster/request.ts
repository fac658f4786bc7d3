// One client command on its way to another worker, until it is answered.

import { Op } from '../engine/op.ts'
import type { ReplySlot, Session } from '../engine/ports.ts'

export class Request {
  readonly op: number
  /** The shard that decides its way: that of its queue, its name, or its first id. */
  readonly shard: number
  /** Its ids may be of several shards. */
  readonly severalShards: boolean
  readonly slot: ReplySlot
  readonly session: Session
  /** Its line, newline included, where it must be sent (again): while it is held, and for what may run twice. */
  line: Buffer | null
  /** The raw JSON of its reqId as latin1, so that its failure can be answered; '' = none, or not known. */
  readonly reqId: string

  /** While it is on a link: its number there, when it was added, and where its line lies in the link's buffer. */
  no = 0
  serial = 0
  flushes = 0
  lineAt = 0
  lineBytes = 0

  /** While it is held. */
  deadlineMs = 0

  constructor(
    op: number,
    shard: number,
    severalShards: boolean,
    slot: ReplySlot,
    session: Session,
    line: Buffer | null,
    reqId: string,
  ) {
    this.op = op
    this.shard = shard
    this.severalShards = severalShards
    this.slot = slot
    this.session = session
    this.line = line
    this.reqId = reqId
  }
}

export function isPull(op: number): boolean {
  return op === Op.PULL || op === Op.PULLB
}

/**
 * Whether a command may run again when its first run's owner died: it changes nothing, or, a pull, what
 * it changed died with the owner.
 */
export function mayRunTwice(op: number): boolean {
  switch (op) {
    case Op.PULL:
    case Op.PULLB:
    case Op.GETJOB:
    case Op.GETSTATE:
    case Op.GETRESULT:
    case Op.GETPROGRESS:
    case Op.GETLOGS:
    case Op.DLQ:
    case Op.WEBHOOKLIST:
    case Op.WEBHOOKLOG:
      return true
    default:
      return false
  }
}
