// Topics of surveys that are answered in one file and asked in another.

/** Answered with a `MetricsPart`. */
export const METRICS_TOPIC = 'metrics'
