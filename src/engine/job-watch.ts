// Who follows single jobs through their lives, for traces. Absent where nobody does.
//
// 1. Called before the state changes, so that the job can be read as the run left it; what is passed is valid during the
//    call only.
// 2. Only for jobs with tags, which is where a trace context is (ADR 16): others cost nothing.

import type { Seq } from './job-id.ts'
import type { JobSource } from './ports.ts'

export type RunEnd = 'completed' | 'retrying' | 'failed'

export interface JobWatch {
  pushed(source: JobSource, seq: Seq, nowMs: number): void
  runEnded(source: JobSource, seq: Seq, nowMs: number, end: RunEnd, error: string | null): void
}
