// Commands about one job, which the path names.

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OpName } from '../../../engine/op.ts'
import { frameAround, frameOf } from '../../wire/frames.ts'
import { sendRefusal } from '../answers.ts'
import { isRefusal, readId } from '../fields.ts'
import type { BodyOf } from '../http-commands.ts'
import type { HttpDeps } from '../http-deps.ts'
import { bodyOf } from '../json-bodies.ts'

export interface OfJob {
  Params: { id: string }
}

/** The fields of the body, if there is one, go with it. */
export async function ofJob(
  { commands }: HttpDeps,
  request: FastifyRequest<OfJob>,
  reply: FastifyReply,
  op: OpName,
  answer: BodyOf,
): Promise<FastifyReply> {
  const id = readId(request.params.id)
  if (isRefusal(id)) return sendRefusal(reply, id)
  const body = bodyOf(request)
  const frame = body.length === 0 ? frameOf(op, { id }) : frameAround(op, { id }, body)
  return commands.run(request, reply, op, { ids: [id] }, frame, answer)
}
