// The figures of one worker under the names of the catalogue, in the form that crosses links and that `prom-client` adds
// up (what its registries call metrics as JSON).

import { type LatencyCells, latencyBoundsMs } from '../../engine/latency-cells.ts'
import { type MetricName, metricNames, rowOfMetric } from './catalogue.ts'

export type Labels = Readonly<Record<string, string | number>>

interface Sample {
  readonly value: number
  readonly labels: Labels
  /** Of a histogram: which of its series. */
  readonly metricName?: string
}

/** All samples of one name. */
export interface Family {
  readonly name: MetricName
  readonly type: string
  readonly help: string
  readonly aggregator: string
  readonly values: Sample[]
}

const MS_PER_SECOND = 1000

export class Samples {
  private readonly families = new Map<MetricName, Family>()

  put(name: MetricName, value: number, labels: Labels = {}): void {
    this.family(name).values.push({ value, labels })
  }

  /** In seconds, as the names of histograms say. */
  putLatency(name: MetricName, latency: LatencyCells, labels: Labels = {}): void {
    const { values } = this.family(name)
    let upTo = 0
    for (const [at, boundMs] of latencyBoundsMs.entries()) {
      upTo += latency.cells[at] as number
      const le = boundMs / MS_PER_SECOND
      values.push({ value: upTo, labels: { le, ...labels }, metricName: `${name}_bucket` })
    }
    const all = { le: '+Inf', ...labels }
    values.push({ value: latency.count, labels: all, metricName: `${name}_bucket` })
    values.push({ value: latency.sumMs / MS_PER_SECOND, labels, metricName: `${name}_sum` })
    values.push({ value: latency.count, labels, metricName: `${name}_count` })
  }

  /** In the order of the catalogue. */
  all(): Family[] {
    return metricNames.flatMap((name) => this.families.get(name) ?? [])
  }

  private family(name: MetricName): Family {
    let family = this.families.get(name)
    if (family === undefined) {
      const { type, help, over } = rowOfMetric(name)
      family = { name, type, help, aggregator: over ?? 'sum', values: [] }
      this.families.set(name, family)
    }
    return family
  }
}
