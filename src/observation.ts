// How one worker is observed: metrics, history, health and consumers, wired. A part of the composition root.
//
// All of it runs whether HTTP is on or not: other workers ask, and one that has it may show it.

import type { NodeView } from './cluster/node-view.ts'
import type { Config } from './config.ts'
import type { Clock } from './engine/ports.ts'
import type { Traffic } from './engine/traffic.ts'
import {
  healthPart,
  type Measured,
  metricsPart,
  type SpanFigures,
  type WebhookFigures,
} from './measures.ts'
import type { StoreFigures } from './storage/store-figures.ts'
import { Consumers } from './transports/consumers/consumers.ts'
import { ConsumersOfNode } from './transports/consumers/consumers-of-node.ts'
import type { RoutePlugin } from './transports/http/http-deps.ts'
import { HistoryKeeper } from './transports/metrics/history-keeper.ts'
import { probeListener } from './transports/metrics/listener-probe.ts'
import { LoopDelay } from './transports/metrics/loop-delay.ts'
import { NodeHealth } from './transports/metrics/node-health.ts'
import { METRICS_TOPIC } from './transports/metrics/topics.ts'

export interface ObservationDeps {
  readonly config: Config
  readonly clock: Clock
  readonly view: NodeView
  readonly traffic: Traffic
  readonly store: (() => StoreFigures) | null
  readonly spans: SpanFigures | null
  readonly webhooks: { readonly deliverer: WebhookFigures } | null
}

export class Observation {
  readonly consumers: Consumers
  private readonly config: Config
  private readonly measured: Measured
  private readonly history: HistoryKeeper
  private readonly health: NodeHealth
  private readonly consumersOfNode: ConsumersOfNode
  private tcpPort = 0
  private isDraining = false

  constructor({ config, clock, view, traffic, store, spans, webhooks }: ObservationDeps) {
    const { survey } = view
    this.config = config
    this.consumers = new Consumers(clock)
    this.measured = {
      view,
      traffic,
      loop: new LoopDelay(),
      startedAtMs: clock.nowMs(),
      queuesMax: config.metricsQueuesMax,
      store,
      spans,
      webhooks: webhooks?.deliverer ?? null,
    }
    const isDurable = config.databaseUrl !== null
    survey.answer(METRICS_TOPIC, () => metricsPart(this.measured))
    this.history = new HistoryKeeper({ survey, clock, isDurable, sums: () => this.sums() })
    this.health = new NodeHealth({
      survey,
      clock,
      own: () => healthPart(this.measured, this.isDraining),
      probe: () => probeListener(config.host, this.tcpPort, config.tlsCert !== null),
    })
    this.consumersOfNode = new ConsumersOfNode(survey, this.consumers)
  }

  /** Clients can come. */
  opened(tcpPort: number): void {
    this.tcpPort = tcpPort
    void this.history.start()
  }

  drains(): void {
    this.isDraining = true
  }

  /** Loaded only where there is HTTP. */
  async routes(): Promise<RoutePlugin[]> {
    const [metrics, health, consumers, { Scrapes }] = await Promise.all([
      import('./transports/metrics/metrics-routes.ts'),
      import('./transports/metrics/health-routes.ts'),
      import('./transports/consumers/consumers-routes.ts'),
      import('./transports/metrics/scrapes.ts'),
    ])
    const scrapes = new Scrapes(this.measured.view.survey, this.config.metricsQueuesMax)
    return [
      metrics.metricsRoutes({ scrapes, history: this.history, consumers: this.consumersOfNode }),
      health.healthRoutes(this.health),
      consumers.consumersRoutes(this.consumers, this.consumersOfNode),
    ]
  }

  private sums(): ReturnType<NodeView['sums']> & { shards: number } {
    const { view } = this.measured
    return { ...view.sums(), shards: view.shards(0).shards }
  }
}
