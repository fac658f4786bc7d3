// The consumers of all workers of the node, as one list.

import type { Survey } from '../../engine/survey-port.ts'
import { type ConsumerInfo, mergeConsumers } from './consumer.ts'
import type { Consumers } from './consumers.ts'

const TOPIC = 'consumers'

export class ConsumersOfNode {
  private readonly survey: Survey

  constructor(survey: Survey, consumers: Consumers) {
    this.survey = survey
    survey.answer(TOPIC, () => consumers.list())
  }

  async list(): Promise<ConsumerInfo[]> {
    const { answers } = await this.survey.ask(TOPIC)
    return mergeConsumers(answers.flatMap(({ value }) => (value ?? []) as ConsumerInfo[]))
  }
}
