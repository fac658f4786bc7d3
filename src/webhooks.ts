// The deliverer of a worker, wired: settings, names, the shards that it delivers for. A part of the composition root.

import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import type { Config } from './config.ts'
import type { Clock, DoorPorts } from './engine/ports.ts'
import type { DeliveryRef, WebhookLetter } from './engine/webhook-ports.ts'
import type { OutgoingEvent } from './engine/webhooks.ts'
import type { Logger } from './logger.ts'
import { AddressRules } from './transports/webhooks/address-rules.ts'
import { attempt } from './transports/webhooks/attempt.ts'
import { Deliverer } from './transports/webhooks/deliverer.ts'
import { UrlPolicy } from './transports/webhooks/url-policy.ts'
import { version } from './version.ts'

export interface WebhookSource {
  take(ref: DeliveryRef): OutgoingEvent | null
  report(letter: WebhookLetter): void
}

export interface WorkerWebhooks {
  readonly deliverer: Deliverer
  /** Where this node listens: nothing is delivered there. */
  opened(ports: DoorPorts): void
}

export function webhooksOf(
  config: Config,
  clock: Clock,
  log: Logger,
  source: WebhookSource,
): WorkerWebhooks {
  const policy = new UrlPolicy({
    rules: new AddressRules(config.webhookAllow),
    allowHttp: config.webhookHttp,
    ports: config.webhookPorts,
    localAddresses,
  })
  // Until it is known where it really listens.
  policy.ownPorts = [config.port, config.httpPort, config.grpcPort]
  const deliverer = new Deliverer({
    policy,
    retries: { pausesMs: config.webhookPausesMs, random: Math.random },
    disableAfterMs: config.webhookDisableMs,
    userAgent: `FlashQ/${version}`,
    clock,
    log,
    attempt: (post, signal) =>
      attempt(post, { policy, resolve, proxy: config.webhookProxy }, signal),
    take: source.take,
    report: source.report,
  })
  return {
    deliverer,
    opened: (ports) => {
      policy.ownPorts = Object.values(ports).filter((port) => port !== null)
    },
  }
}

async function resolve(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true, verbatim: true })
  return found.map(({ address }) => address)
}

function localAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .map((each) => each.address)
}
