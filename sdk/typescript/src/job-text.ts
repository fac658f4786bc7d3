// A job on its way to the server: its text, and the Job object that `push` hands back.

import type { Job, PushOptions } from './job.ts'
import { numbersText, numberText, optionalNumber, optionalValue, valueText } from './json-text.ts'
import { tagsWith, traceOf } from './trace.ts'

/** The fields of PUSH after `queue`, without braces: `"data":…,"priority":…`. Throws when `data` is no JSON. */
export function jobFieldsText(data: unknown, options: PushOptions | undefined): string {
  const text = `"data":${valueText(data)}`
  return options === undefined ? text : text + optionsText(options)
}

function optionsText(options: PushOptions): string {
  let text = ''
  if (options.priority !== undefined) text += `,"priority":${numberText(options.priority)}`
  text += optionalNumber('delay', options.delay)
  text += optionalNumber('ttl', options.ttl)
  text += optionalNumber('timeout', options.timeout)
  text += optionalNumber('max_attempts', options.max_attempts)
  text += optionalNumber('backoff', options.backoff)
  text += optionalValue('unique_key', options.unique_key)
  if (Array.isArray(options.depends_on)) text += `,"depends_on":${numbersText(options.depends_on)}`
  else text += optionalValue('depends_on', options.depends_on)
  return text + optionalValue('tags', tagsWith(traceOf(options), options.tags))
}

/** The accepted job as this client knows it; its times are estimates by this machine's clock. */
export function acceptedJob<T>(
  id: number,
  queue: string,
  data: T,
  options: PushOptions | undefined,
  nowMs: number,
): Job<T> {
  const trace = traceOf(options)
  return {
    id,
    queue,
    data,
    priority: options?.priority ?? 0,
    created_at: nowMs,
    run_at: nowMs + (options?.delay ?? 0),
    started_at: 0,
    attempts: 0,
    max_attempts: options?.max_attempts ?? 0,
    backoff: options?.backoff ?? 0,
    ttl: options?.ttl ?? 0,
    timeout: options?.timeout ?? 0,
    unique_key: options?.unique_key ?? null,
    depends_on: options?.depends_on === undefined ? [] : [...options.depends_on],
    progress: 0,
    progress_msg: null,
    tags: [...(tagsWith(trace, options?.tags) ?? [])],
    ...trace,
  }
}
