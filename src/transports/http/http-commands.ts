// Routes that are commands: admitted, run, and their reply line made a body.
//
//   request ─ admission ─▶ caller ─▶ reply line ─ body(line) ─▶ answer
//
// Jobs of an answer that does not reach its client return to their queue (`give`).

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OpName } from '../../engine/op.ts'
import type { Unwritten } from '../../engine/ports.ts'
import type { Refusal, RefusalCode } from '../../engine/refusal.ts'
import type { Admission, Subject } from '../auth/admission.ts'
import type { Answer, Caller } from '../caller.ts'
import { sendBody, sendRefusal } from './answers.ts'
import { headersOf, statusOf } from './http-refusal.ts'
import { codeOf, isOk } from './reply-lines.ts'

/** What an answer's line becomes. */
export type BodyOf = (line: Buffer) => Buffer

export class HttpCommands {
  private readonly caller: Caller
  private readonly admission: Admission

  constructor(caller: Caller, admission: Admission) {
    this.caller = caller
    this.admission = admission
  }

  /** Null: the principal may. */
  async admit(request: FastifyRequest, op: OpName, subject: Subject): Promise<Refusal | null> {
    const verdict = this.admission.admit(request.principal, op, subject)
    return verdict === null ? null : await verdict
  }

  call(frame: Buffer): Promise<Answer> {
    return this.caller.call(frame)
  }

  /** The whole way of a command that hands nothing out. */
  async run(
    request: FastifyRequest,
    reply: FastifyReply,
    op: OpName,
    subject: Subject,
    frame: Buffer | Refusal,
    body: BodyOf,
  ): Promise<FastifyReply> {
    const refusal = await this.admit(request, op, subject)
    if (refusal !== null) return sendRefusal(reply, refusal)
    if (!Buffer.isBuffer(frame)) return sendRefusal(reply, frame)
    const { line } = await this.caller.call(frame)
    return isOk(line) ? sendBody(reply, body(line)) : sendRefused(reply, line)
  }

  /** The answer to a pull. */
  give(reply: FastifyReply, { line, handed }: Answer, body: BodyOf): FastifyReply {
    if (!isOk(line)) return sendRefused(reply, line)
    if (handed !== null) this.returnUnlessWritten(reply, handed)
    return sendBody(reply, body(line))
  }

  private returnUnlessWritten(reply: FastifyReply, handed: Unwritten): void {
    const { raw } = reply
    if (raw.destroyed || raw.socket === null) return this.caller.giveBack(handed)
    raw.once('close', () => {
      if (!raw.writableFinished) this.caller.giveBack(handed)
    })
  }
}

/** A refusal's line is a body as it is. */
export function sendRefused(reply: FastifyReply, line: Buffer): FastifyReply {
  const code = codeOf(line) as RefusalCode
  return sendBody(reply.code(statusOf[code]).headers(headersOf(code)), line)
}
