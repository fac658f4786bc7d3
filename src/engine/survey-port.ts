// What one worker asks of all workers of its node, besides commands: figures, and who is there.

export interface SurveyAnswer {
  readonly worker: number
  readonly incarnation: number
  /** JSON. */
  readonly value: unknown
}

export interface SurveyResult {
  /** One per worker that answered in time, this one included, by index. */
  readonly answers: readonly SurveyAnswer[]
  /** Live workers that did not. */
  readonly silent: readonly number[]
}

export interface Survey {
  /** Of the worker itself. */
  readonly worker: number
  ask(topic: string): Promise<SurveyResult>
  /** What this worker says on a topic, whoever asks. One answer a topic. */
  answer(topic: string, say: () => unknown): void
}
