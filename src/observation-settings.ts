// The settings of metrics and traces. A part of the table in `config.ts`.

import { limits } from './engine/limits.ts'
import { integer, type Setting } from './setting.ts'

export interface ObservationConfig {
  readonly metricsQueuesMax: number
  /** Where spans go; null = none are made. */
  readonly otlpEndpoint: string | null
}

export const observationSettings: {
  readonly [Field in keyof ObservationConfig]: Setting<ObservationConfig[Field]>
} = {
  metricsQueuesMax: integer({
    name: 'METRICS_QUEUES_MAX',
    default: limits.metricsQueuesMax,
    min: 0,
    max: 10_000,
    meaning: 'queues that metrics name, the largest ones; all others are counted as other',
  }),
  otlpEndpoint: {
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    default: '',
    defaultNote: 'none: no spans are made',
    allowed: 'a URL that begins with http:// or https://',
    meaning:
      'collector of OpenTelemetry that spans of jobs with a trace context go to, as OTLP/HTTP JSON',
    secret: true,
    read: readOtlpEndpoint,
  },
}

function readOtlpEndpoint(text: string): string | null | undefined {
  if (text === '') return null
  return /^https?:\/\//.test(text) && URL.canParse(text) ? text : undefined
}
