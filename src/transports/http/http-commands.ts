// Routes that are commands: run in the name of who asks, and their reply line made a body.
//
//   frame ─ auth/guard.ts ─▶ caller ─▶ reply line ─ body(line) ─▶ answer
//
// A push over HTTP is mostly framework; so there is no promise on this way unless somebody has to be waited for. Jobs of
// an answer that does not reach its client return to their queue (`give`).

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Refusal, RefusalCode } from '../../engine/refusal.ts'
import type { Guard } from '../auth/guard.ts'
import type { Answer, Caller } from '../caller.ts'
import { sendBody, sendRefusal, setHeaders } from './answers.ts'
import { headersOf, statusOf } from './http-refusal.ts'
import { bodyOf } from './json-bodies.ts'
import { type Body, codeOf, isOk, refusedBody } from './reply-lines.ts'

/** What an answer's line becomes; a refusal where the line says that it did not do the one thing. */
export type BodyOf = (line: Buffer) => Body | Refusal

export class HttpCommands {
  private readonly caller: Caller
  private readonly access: Guard

  constructor(caller: Caller, access: Guard) {
    this.caller = caller
    this.access = access
  }

  /**
   * The whole way of a command that hands nothing out, given in the name of the request's principal. `failed`: what to
   * do with a refusal's line.
   */
  run(
    request: FastifyRequest,
    reply: FastifyReply,
    frame: Buffer | Refusal,
    body: BodyOf,
    failed: (reply: FastifyReply, line: Buffer) => void = sendRefused,
  ): void {
    if (!Buffer.isBuffer(frame)) return void sendRefusal(reply, frame)
    this.access.ask(request.principal, frame, ({ line }) => {
      if (isOk(line)) sendMade(reply, body(line))
      else failed(reply, line)
    })
    // The frame has been read, or copied.
    bodyOf(request)?.giveBack()
  }

  /** The answer to a pull. */
  give(reply: FastifyReply, { line, handed }: Answer, body: (line: Buffer) => Body): void {
    if (!isOk(line)) return sendRefused(reply, line)
    if (handed === null) return void sendBody(reply, body(line))
    // Not that of the answer: behind others it has none yet.
    const { socket } = reply.request.raw
    const giveBack = (): void => this.caller.giveBack(handed)
    if (socket.destroyed) return giveBack()
    socket.once('close', giveBack)
    sendBody(reply, body(line), () => socket.off('close', giveBack))
  }
}

function sendMade(reply: FastifyReply, made: Body | Refusal): void {
  if (typeof made === 'string' || Buffer.isBuffer(made)) sendBody(reply, made)
  else sendRefusal(reply, made)
}

/** A refusal's line is a body as it is. */
export function sendRefused(reply: FastifyReply, line: Buffer): void {
  const code = codeOf(line) as RefusalCode
  setHeaders(reply, headersOf(code))
  sendBody(reply.code(statusOf[code]), refusedBody(line))
}
