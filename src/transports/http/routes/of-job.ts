// Commands about one job, which the path names.

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OpName } from '../../../engine/op.ts'
import type { SmallField } from '../../wire/frames.ts'
import { sendRefusal } from '../answers.ts'
import { isRefusal, readId } from '../fields.ts'
import type { BodyOf } from '../http-commands.ts'
import type { HttpDeps } from '../http-deps.ts'
import { frameOfBody } from '../json-bodies.ts'

export interface OfJob {
  Params: { id: string }
}

/** The fields of the body, if there is one, go with it. */
export function ofJob(
  { commands }: HttpDeps,
  request: FastifyRequest<OfJob>,
  reply: FastifyReply,
  op: OpName,
  answer: BodyOf,
  fields: Readonly<Record<string, SmallField>> = {},
): void {
  const id = readId(request.params.id)
  if (isRefusal(id)) return void sendRefusal(reply, id)
  const frame = frameOfBody(request, op, { id, ...fields })
  commands.run(request, reply, frame, answer)
}
