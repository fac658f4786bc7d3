// Who may read what is about the whole node: figures name queues, so a principal of some queues may not, as with METRICS.

import type { FastifyRequest } from 'fastify'
import type { Refusal } from '../../engine/refusal.ts'
import { authorize } from '../auth/principal.ts'

export function mayReadNode({ principal }: FastifyRequest): Refusal | null {
  return authorize(principal, 'METRICS', null)
}
