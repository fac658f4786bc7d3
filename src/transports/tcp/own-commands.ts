// The commands that never reach a shard: AUTH, HELLO, SUBSCRIBE and UNSUBSCRIBE are about the connection itself.

import type { Command } from '../../engine/command.ts'
import { Op, opNames, routeOf } from '../../engine/op.ts'
import { ALL_QUEUES, type Reply } from '../../engine/ports.ts'
import { checkQueueName } from '../../engine/queue-name.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import { authorize, type Principal } from '../auth/principal.ts'
import type { Account } from './account.ts'
import type { Subscriptions } from './subscriptions.ts'

/** The connection. */
export interface Speaker {
  /** Null: a Unix socket, or it has gone. */
  readonly address: string | null
  /** Null: it has not said who it is. */
  readonly principal: Principal | null
  readonly subscriptions: Subscriptions
  readonly account: Account
  /** Its AUTH was right. Why it stays what it was; null: it is this one now. */
  becomes(principal: Principal): Refusal | null
  /** It guesses too often: after this reply it is over. */
  isThrottled(): void
}

export function isOwnCommand(op: number): boolean {
  const name = opNames[op]
  return name !== undefined && routeOf[name] === 'connection'
}

/** An own command; or, of a stranger, any other one. */
export function answerOwn(
  command: Command,
  reply: Reply,
  speaker: Speaker,
  auth: Authenticator,
): void {
  if (command.op === Op.AUTH) return authenticate(command.secret, reply, speaker, auth)
  const { principal, subscriptions } = speaker
  const { queue, events } = command
  if (principal === null) return reply.refused(refusals.authRequired)
  if (command.op === Op.HELLO) {
    const refusal = authorize(principal, 'HELLO', null)
    return refusal === null
      ? speaker.account.hello(command, principal, reply)
      : reply.refused(refusal)
  }
  if (command.op === Op.SUBSCRIBE) {
    const refusal =
      authorize(principal, 'SUBSCRIBE', queue) ?? subscriptions.add(queue, events, () => reply.ok())
    if (refusal !== null) reply.refused(refusal)
    return
  }
  const isName = queue === ALL_QUEUES ? null : checkQueueName(queue)
  const refusal = authorize(principal, 'UNSUBSCRIBE', queue) ?? isName
  if (refusal !== null) return reply.refused(refusal)
  subscriptions.remove(queue)
  reply.ok()
}

function authenticate(secret: string, reply: Reply, speaker: Speaker, auth: Authenticator): void {
  const verdict = auth.attempt(secret, speaker.address)
  switch (verdict) {
    case 'invalid':
      return reply.refused(refusals.authInvalid)
    case 'throttled':
      reply.refused(refusals.authThrottled)
      return speaker.isThrottled()
    default: {
      const refusal = speaker.becomes(verdict)
      return refusal === null ? reply.ok() : reply.refused(refusal)
    }
  }
}
