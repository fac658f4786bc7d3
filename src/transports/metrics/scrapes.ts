// Scrapes of the whole node, by any of its workers.
//
// 1. Of a worker that does not answer in time its last figures are used, and `flashq_workers_silent` says so: a sum that
//    suddenly lacks a worker would look like counters that were reset.
// 2. Figures of a worker process that is gone are forgotten: there is one memory per worker index, and one process in it.

import type { Survey } from '../../engine/survey-port.ts'
import { exposition, type MetricsPart } from './exposition.ts'
import { METRICS_TOPIC } from './topics.ts'

interface Known {
  readonly incarnation: number
  readonly part: MetricsPart
}

export class Scrapes {
  private readonly survey: Survey
  private readonly queuesMax: number
  private readonly known = new Map<number, Known>()

  constructor(survey: Survey, queuesMax: number) {
    this.survey = survey
    this.queuesMax = queuesMax
  }

  /** `consumers`: how many there are. */
  async text(consumers: number): Promise<string> {
    const { answers, silent } = await this.survey.ask(METRICS_TOPIC)
    for (const { worker, incarnation, value } of answers) {
      this.known.set(worker, { incarnation, part: value as MetricsPart })
    }
    const live = new Set([...answers.map(({ worker }) => worker), ...silent])
    for (const worker of this.known.keys()) if (!live.has(worker)) this.known.delete(worker)
    const parts = [...this.known.values()].map(({ part }) => part)
    return exposition(parts, { silentWorkers: silent.length, consumers }, this.queuesMax)
  }
}
