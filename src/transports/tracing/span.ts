// One span, and how OTLP writes many of them as JSON (opentelemetry-proto, trace/v1: ids in hex, 64-bit times as text).

export interface Span {
  readonly name: string
  readonly kind: 'producer' | 'consumer'
  readonly traceId: string
  readonly tracestate: string | null
  readonly parentSpanId: string
  readonly spanId: string
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, string | number>>
  /** Null: it ended well. */
  readonly error: string | null
}

const SPAN_KIND = { producer: 4, consumer: 5 } as const
const STATUS_UNSET = 0
const STATUS_ERROR = 2
const NS_PER_MS = '000000'

export function otlpJson(
  spans: readonly Span[],
  resource: Readonly<Record<string, string>>,
): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope: { name: 'flashq' }, spans: spans.map(spanJson) }],
      },
    ],
  })
}

function spanJson(span: Span): object {
  const { name, kind, traceId, spanId, parentSpanId, tracestate, error } = span
  return {
    traceId,
    spanId,
    parentSpanId,
    ...(tracestate === null ? {} : { traceState: tracestate }),
    name,
    kind: SPAN_KIND[kind],
    startTimeUnixNano: `${Math.floor(span.startMs)}${NS_PER_MS}`,
    endTimeUnixNano: `${Math.floor(span.endMs)}${NS_PER_MS}`,
    attributes: attributesOf(span.attributes),
    status: error === null ? { code: STATUS_UNSET } : { code: STATUS_ERROR, message: error },
  }
}

function attributesOf(attributes: Readonly<Record<string, string | number>>): object[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value },
  }))
}
