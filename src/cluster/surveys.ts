// Questions to all workers that are no commands: figures, history, consumers, health (`Survey` in the engine's ports).
//
// 1. It never fails: a worker that does not answer in time, or dies meanwhile, is told as silent or left out. Whoever
//    asks decides what a part is worth (unlike a command's sum over all shards: gather.ts).
// 2. What nobody here has an answer to is null.

import type { Survey, SurveyAnswer, SurveyResult } from '../engine/survey-port.ts'

const SURVEY_MS_MAX = 2000

export interface SurveysDeps {
  readonly worker: number
  readonly incarnation: number
  /** Every other live worker. */
  others(): number[]
  incarnationOf(worker: number): number
  /** False when its link is full; null when it has just died. */
  ask(worker: number, no: number, topic: string): boolean | null
}

interface Pending {
  readonly answers: SurveyAnswer[]
  readonly waitingFor: Set<number>
  readonly silent: number[]
  readonly timer: NodeJS.Timeout
  readonly resolve: (result: SurveyResult) => void
}

export class Surveys implements Survey {
  private readonly deps: SurveysDeps
  private readonly topics = new Map<string, () => unknown>()
  private readonly pending = new Map<number, Pending>()
  private lastNo = 0

  constructor(deps: SurveysDeps) {
    this.deps = deps
  }

  get worker(): number {
    return this.deps.worker
  }

  answer(topic: string, say: () => unknown): void {
    this.topics.set(topic, say)
  }

  ask(topic: string): Promise<SurveyResult> {
    const { deps } = this
    this.lastNo = (this.lastNo + 1) >>> 0
    const no = this.lastNo
    const { worker, incarnation } = deps
    const answers = [{ worker, incarnation, value: this.here(topic) }]
    const asked: number[] = []
    const silent: number[] = []
    for (const other of deps.others()) {
      const isAsked = deps.ask(other, no, topic)
      if (isAsked !== null) (isAsked ? asked : silent).push(other)
    }
    if (asked.length === 0) return Promise.resolve({ answers, silent })
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.finish(no), SURVEY_MS_MAX)
      this.pending.set(no, { answers, waitingFor: new Set(asked), silent, timer, resolve })
    })
  }

  /** What this worker says. */
  here(topic: string): unknown {
    return this.topics.get(topic)?.() ?? null
  }

  surveyed(worker: number, no: number, json: string): void {
    const pending = this.pending.get(no)
    if (pending === undefined || !pending.waitingFor.delete(worker)) return
    const incarnation = this.deps.incarnationOf(worker)
    pending.answers.push({ worker, incarnation, value: JSON.parse(json) })
    if (pending.waitingFor.size === 0) this.finish(no)
  }

  workerLost(worker: number): void {
    for (const [no, { waitingFor }] of this.pending) {
      if (waitingFor.delete(worker) && waitingFor.size === 0) this.finish(no)
    }
  }

  stop(): void {
    for (const { timer } of this.pending.values()) clearTimeout(timer)
    this.pending.clear()
  }

  private finish(no: number): void {
    const pending = this.pending.get(no)
    if (pending === undefined) return
    clearTimeout(pending.timer)
    this.pending.delete(no)
    const { answers, silent, waitingFor, resolve } = pending
    answers.sort((a, b) => a.worker - b.worker)
    resolve({ answers, silent: [...silent, ...waitingFor] })
  }
}
