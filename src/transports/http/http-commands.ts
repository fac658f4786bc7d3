// Routes that are commands: admitted, run, and their reply line made a body.
//
//   request ─ admission ─▶ caller ─▶ reply line ─ body(line) ─▶ answer
//
// A push over HTTP is mostly framework; so there is no promise on this way unless somebody has to be waited for. Jobs of
// an answer that does not reach its client return to their queue (`give`).

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OpName } from '../../engine/op.ts'
import type { Unwritten } from '../../engine/ports.ts'
import type { Refusal, RefusalCode } from '../../engine/refusal.ts'
import type { Admission, Subject } from '../auth/admission.ts'
import type { Answer, Caller } from '../caller.ts'
import { sendBody, sendRefusal, setHeaders } from './answers.ts'
import { headersOf, statusOf } from './http-refusal.ts'
import { bodyOf } from './json-bodies.ts'
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

  /** `run` when the principal may; else they are told. */
  admit(
    request: FastifyRequest,
    reply: FastifyReply,
    op: OpName,
    subject: Subject,
    run: () => void,
  ): void {
    const end = (refusal: Refusal | null): void => {
      if (refusal === null) run()
      else sendRefusal(reply, refusal)
    }
    const verdict = this.admission.admit(request.principal, op, subject)
    if (verdict instanceof Promise) void verdict.then(end)
    else end(verdict)
  }

  /** The whole way of a command that hands nothing out. `failed`: what to do with a refusal's line. */
  run(
    request: FastifyRequest,
    reply: FastifyReply,
    op: OpName,
    subject: Subject,
    frame: Buffer | Refusal,
    body: BodyOf,
    failed: (reply: FastifyReply, line: Buffer) => void = sendRefused,
  ): void {
    this.admit(request, reply, op, subject, () => {
      if (!Buffer.isBuffer(frame)) return void sendRefusal(reply, frame)
      this.caller.ask(frame, ({ line }) => {
        if (isOk(line)) sendBody(reply, body(line))
        else failed(reply, line)
      })
      // The gate has read the frame, or copied it.
      bodyOf(request)?.giveBack()
    })
  }

  /** The answer to a pull. */
  give(reply: FastifyReply, { line, handed }: Answer, body: BodyOf): void {
    if (!isOk(line)) return sendRefused(reply, line)
    if (handed !== null) this.returnUnlessWritten(reply, handed)
    sendBody(reply, body(line))
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
export function sendRefused(reply: FastifyReply, line: Buffer): void {
  const code = codeOf(line) as RefusalCode
  setHeaders(reply, headersOf(code))
  sendBody(reply.code(statusOf[code]), line)
}
