// Whether the node is alive, ready, well; and what it looks like inside, for whoever has to find out why it is not.
//
//   live     this worker's event loop answers. Nothing else: a database that is away is no reason to kill every node.
//   ready    started, not draining, every shard is owned, memory below 80 %, and a connection through the public listener
//            is answered. Stays true while the database is away: reads that need none are answered, writes say `unavailable`.
//   healthy  ready, and the database takes records
//   cluster  each worker and each shard, and staged checks: the first one that fails says where to look
//
// 1. Nothing here can hang: each part has its own time limit.
// 2. A probe of the listener is shared by all who ask within a second: whoever asks often opens no more connections.

import { limits } from '../../engine/limits.ts'
import type { Clock } from '../../engine/ports.ts'
import type { Survey, SurveyResult } from '../../engine/survey-port.ts'

/** What one worker says of itself. It is shown as it is. */
export interface WorkerHealth {
  readonly incarnation: number
  readonly pid: number
  readonly version: string
  readonly started_at: number
  readonly draining: boolean
  /** Bit per shard. */
  readonly shards: number
  readonly halted: number
  readonly epochs: readonly number[]
  readonly memory_bytes: number
  readonly memory_limit_bytes: number
  /** 99th percentile. */
  readonly loop_delay_ms: number
  readonly lease_left_ms: number | null
  /** Null where nothing is stored. */
  readonly store_up: boolean | null
  readonly journal_backlog_bytes: number | null
  readonly checkpoint_age_ms: number | null
}

interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

export interface Readiness {
  readonly ready: boolean
  readonly storeUp: boolean | null
  /** In the order in which they are to be looked at. */
  readonly checks: readonly Check[]
}

const TOPIC = 'health'
const PROBE_SHARED_MS = 1000
const MEMORY_SHARE_MAX = 0.8
const LOOP_DELAY_MS_MAX = 1000
const ALL_SHARDS = 2 ** limits.shards - 1

export interface NodeHealthOptions {
  readonly survey: Survey
  readonly clock: Clock
  own(): WorkerHealth
  /** Null: a connection through the public listener was answered; or why not. */
  probe(): Promise<string | null>
}

export class NodeHealth {
  private readonly options: NodeHealthOptions
  private probed: { readonly atMs: number; readonly result: Promise<string | null> } | null = null

  constructor(options: NodeHealthOptions) {
    this.options = options
    options.survey.answer(TOPIC, () => options.own())
  }

  async readiness(): Promise<Readiness> {
    const [survey, unreachable] = await Promise.all([this.options.survey.ask(TOPIC), this.probe()])
    const workers = workersIn(survey)
    const own = this.options.own()
    const checks = [
      draining(own),
      listening(unreachable),
      answering(survey),
      shardsOwned(workers),
      memory(workers),
    ]
    return { ready: checks.every(({ ok }) => ok), storeUp: storeUp(workers), checks }
  }

  /** With the staged checks: ping, status, running without alarms, ports. */
  async cluster(): Promise<object> {
    const { survey } = this.options
    const [result, unreachable] = await Promise.all([survey.ask(TOPIC), this.probe()])
    const workers = workersIn(result)
    const checks = [
      answering(result),
      draining(this.options.own()),
      shardsOwned(workers),
      versions(workers),
      store(workers),
      halted(workers),
      memory(workers),
      loopDelay(workers),
      listening(unreachable),
    ]
    return {
      ok: checks.every(({ ok }) => ok),
      first_failure: checks.find(({ ok }) => !ok)?.name ?? null,
      checks,
      lease_left_ms: leastLease(workers),
      workers: result.answers.map(({ worker, value }) => shown(worker, value as WorkerHealth)),
      silent: result.silent,
      shards: shardsOf(result),
    }
  }

  private probe(): Promise<string | null> {
    const nowMs = this.options.clock.nowMs()
    if (this.probed === null || nowMs - this.probed.atMs >= PROBE_SHARED_MS) {
      this.probed = { atMs: nowMs, result: this.options.probe() }
    }
    return this.probed.result
  }
}

function workersIn({ answers }: SurveyResult): WorkerHealth[] {
  return answers.map(({ value }) => value as WorkerHealth | null).filter((each) => each !== null)
}

function check(name: string, ok: boolean, detail: string): Check {
  return { name, ok, detail: ok ? '' : detail }
}

function draining({ draining: isDraining }: WorkerHealth): Check {
  return check('draining', !isDraining, 'this worker takes no new work')
}

function listening(why: string | null): Check {
  return check('listener', why === null, why ?? '')
}

function answering({ answers, silent }: SurveyResult): Check {
  const isUp = answers.every(({ value }) => value !== null)
  const detail = silent.length > 0 ? `workers ${silent.join(', ')} do not answer` : 'starting'
  return check('workers', isUp && silent.length === 0, detail)
}

function shardsOwned(workers: readonly WorkerHealth[]): Check {
  const owned = workers.reduce((mask, { shards }) => mask | shards, 0) >>> 0
  const missing = limits.shards - owned.toString(2).replaceAll('0', '').length
  return check('shards', owned === ALL_SHARDS, `${missing} shards have no owner here`)
}

function memory(workers: readonly WorkerHealth[]): Check {
  const share = Math.max(0, ...workers.map((each) => each.memory_bytes / each.memory_limit_bytes))
  const percent = Math.round(share * 100)
  return check('memory', share < MEMORY_SHARE_MAX, `a worker uses ${percent} % of its job memory`)
}

function versions(workers: readonly WorkerHealth[]): Check {
  const all = [...new Set(workers.map(({ version }) => version))]
  return check('versions', all.length <= 1, `workers run ${all.join(' and ')}`)
}

function store(workers: readonly WorkerHealth[]): Check {
  return check('store', storeUp(workers) !== false, 'the database does not take records')
}

function halted(workers: readonly WorkerHealth[]): Check {
  const count = workers.filter((each) => each.halted !== 0).length
  return check('halted', count === 0, `shards of ${count} workers stand still`)
}

function loopDelay(workers: readonly WorkerHealth[]): Check {
  const worst = Math.round(Math.max(0, ...workers.map((each) => each.loop_delay_ms)))
  return check('event-loop', worst < LOOP_DELAY_MS_MAX, `a worker's event loop is ${worst} ms late`)
}

function storeUp(workers: readonly WorkerHealth[]): boolean | null {
  const ups = workers.map(({ store_up }) => store_up).filter((up) => up !== null)
  return ups.length === 0 ? null : ups.every((up) => up)
}

function leastLease(workers: readonly WorkerHealth[]): number | null {
  const left = workers.map(({ lease_left_ms }) => lease_left_ms).filter((ms) => ms !== null)
  return left.length === 0 ? null : Math.min(...left)
}

function shown(worker: number, health: WorkerHealth | null): object {
  if (health === null) return { worker, starting: true }
  const { shards, halted: still, epochs: _, ...rest } = health
  return { worker, ...rest, shards: shardsIn(shards), halted: shardsIn(still) }
}

function shardsIn(mask: number): number[] {
  return Array.from({ length: limits.shards }, (_, shard) => shard).filter(
    (shard) => (mask >>> shard) & 1,
  )
}

function shardsOf({ answers }: SurveyResult): object[] {
  return Array.from({ length: limits.shards }, (_, shard) => {
    const owner = answers.find(({ value }) => owns(value as WorkerHealth | null, shard))
    const epochs = answers.map(({ value }) => (value as WorkerHealth | null)?.epochs[shard] ?? 0)
    return { shard, worker: owner?.worker ?? null, epoch: Math.max(0, ...epochs) }
  })
}

function owns(health: WorkerHealth | null, shard: number): boolean {
  return health !== null && ((health.shards >>> shard) & 1) === 1
}
