// Every command, in the order of the help.

import type { CliCommand } from './command.ts'
import { completion, help, version } from './commands/about.ts'
import { bench } from './commands/bench.ts'
import { cluster, workers } from './commands/cluster.ts'
import { cronAdd, cronList, cronRemove } from './commands/cron.ts'
import { dlqList, dlqPurge, dlqRetry } from './commands/dlq.ts'
import { job } from './commands/job.ts'
import { jobs } from './commands/jobs.ts'
import { pull } from './commands/pull.ts'
import { push } from './commands/push.ts'
import { drain, limit, pause, resume } from './commands/queue-control.ts'
import { queues, stats } from './commands/queues.ts'
import { ack, cancel, fail, promote } from './commands/settle.ts'
import { tail } from './commands/tail.ts'
import { top } from './commands/top.ts'

export const COMMANDS: readonly CliCommand[] = [
  push,
  pull,
  ack,
  fail,
  cancel,
  promote,
  job,
  jobs,
  queues,
  stats,
  top,
  tail,
  pause,
  resume,
  limit,
  drain,
  dlqList,
  dlqRetry,
  dlqPurge,
  cronList,
  cronAdd,
  cronRemove,
  workers,
  cluster,
  bench,
  completion,
  help,
  version,
]
