// Who consumes, as the metadata of its call says. It is what HELLO says on a connection of the line protocol.
//
//   flashq-consumer                                    its name
//   flashq-host, flashq-version, flashq-concurrency    as in HELLO's `data`
//
// Metadata, not a call of its own: the connections of a channel come and go beneath it, and are shared; what had been said
// on one of them would be said of others, or lost.

import type { Metadata } from '@grpc/grpc-js'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { checkConsumerName, readClaims } from '../consumers/consumer.ts'

export interface Introduction {
  /** Null: it has not said. */
  readonly name: string | null
  readonly host: string | null
  readonly version: string | null
  /** 0: it has not said. */
  readonly concurrency: number
  readonly address: string | null
}

export function introductionOf(metadata: Metadata, address: string | null): Introduction | Refusal {
  const [name, host, version, concurrency] = ['consumer', 'host', 'version', 'concurrency'].map(
    (key) => metadata.get(`flashq-${key}`)[0]?.toString() ?? null,
  ) as [string | null, string | null, string | null, string | null]
  const refusal = name === null ? null : checkConsumerName(name)
  if (refusal !== null) return refusal
  if (concurrency !== null && !/^\d{1,9}$/.test(concurrency)) {
    return refusals.invalid('metadata "flashq-concurrency" must be an unsigned integer')
  }
  const claims = readClaims({ host, version })
  return 'code' in claims
    ? claims
    : { name, host, version, concurrency: Number(concurrency ?? 0), address }
}
