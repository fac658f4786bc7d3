import { JsonText } from '../../json-text.ts'
import type { FlashQ } from '../../node-flashq.ts'
import { countText, durationText, rateText } from '../amounts.ts'
import { type BenchPhase, runPhase } from '../bench-phase.ts'
import type { CliCommand, CliContext } from '../command.ts'
import { EXIT, UsageError } from '../exit-code.ts'
import { ProgressBar } from '../progress-bar.ts'
import type { Column } from '../table.ts'

const COLUMNS: readonly Column<BenchPhase>[] = [
  { head: 'WHAT', cell: (phase) => phase.name },
  { head: 'JOBS', cell: (phase) => countText(phase.jobs), right: true },
  { head: 'TIME', cell: (phase) => durationText(phase.elapsedMs), right: true },
  { head: 'JOBS/S', cell: (phase) => rateText(phase.perSecond), right: true },
  { head: 'P50 ms', cell: (phase) => phase.callMsP50.toFixed(2), right: true },
  { head: 'P99 ms', cell: (phase) => phase.callMsP99.toFixed(2), right: true },
]

interface Terms {
  readonly jobs: number
  readonly batch: number
  readonly clients: number
  readonly bytes: number
}

export const bench: CliCommand = {
  name: 'bench',
  words: [],
  about: 'how fast this server takes, gives and settles jobs',
  detail:
    'Uses a queue of its own, and leaves nothing in it. The times are of one call, which is one frame of --batch jobs.',
  flags: [
    { name: 'jobs', short: 'n', kind: 'integer', value: 'N', about: 'in all; default 100,000' },
    { name: 'batch', short: 'b', kind: 'integer', value: 'N', about: 'jobs a call; default 100' },
    { name: 'clients', short: 'c', kind: 'integer', value: 'N', about: 'connections; default 4' },
    {
      name: 'size',
      short: 's',
      kind: 'integer',
      value: 'BYTES',
      about: 'of the data; default 100',
    },
  ],
  json: '`{"jobs","batch","clients","bytes","phases":[{"name","jobs","elapsed_ms","per_second","call_ms_p50","call_ms_p99"}]}`',
  async run(context) {
    const { flags, out } = context
    const terms: Terms = {
      jobs: counted(flags.integer('jobs') ?? 100_000, 'jobs', 10_000_000),
      batch: counted(flags.integer('batch') ?? 100, 'batch', 1000),
      clients: counted(flags.integer('clients') ?? 4, 'clients', 100),
      bytes: counted(flags.integer('size') ?? 100, 'size', 1_000_000),
    }
    const clients = Array.from({ length: terms.clients }, () => context.ownClient())
    await Promise.all(clients.map((client) => client.connect()))
    const phases = await run(context, terms, clients)
    if (context.io.signal.aborted) return EXIT.interrupted
    if (out.json) out.document({ ...terms, phases: phases.map(wordsOf) })
    else out.table(COLUMNS, phases)
    return EXIT.ok
  },
}

async function run(
  { io, out }: CliContext,
  terms: Terms,
  clients: readonly FlashQ[],
): Promise<BenchPhase[]> {
  const queue = `flashq-bench-${Date.now()}-${process.pid}`
  const data = new JsonText(JSON.stringify('x'.repeat(Math.max(0, terms.bytes - 2))))
  const bar = new ProgressBar(io, performance.now(), !out.json)
  const held: { id: number; token: number | undefined }[] = []
  const share = { ...terms, clients, signal: io.signal, progress: bar }
  const phases: BenchPhase[] = []
  try {
    phases.push(
      await runPhase('push', share, async (client, count) => {
        await client.pushBatch(
          queue,
          Array.from({ length: count }, () => ({ data })),
        )
        return count
      }),
    )
    phases.push(
      await runPhase('pull', share, async (client, count) => {
        const jobs = await client.pullBatch(queue, count, { wait: 1000, token: true })
        for (const { id, token } of jobs) held.push({ id, token })
        return jobs.length
      }),
    )
    phases.push(
      await runPhase('ack', share, async (client, count) => {
        const part = held.splice(-count, count)
        const tokens = part.map(({ token }) => token)
        return client.ackBatch(
          part.map(({ id }) => id),
          { tokens },
        )
      }),
    )
  } finally {
    bar.clear()
    await cleanUp(queue, clients[0])
  }
  return phases
}

/** Also of an interrupted run nothing is left. */
async function cleanUp(queue: string, client: FlashQ | undefined): Promise<void> {
  if (client?.isConnected() === true) await client.deleteQueue(queue, { force: true })
}

function counted(value: number, name: string, max: number): number {
  if (value >= 1 && value <= max) return value
  throw new UsageError(`--${name} is from 1 to ${countText(max)}`, 'bench')
}

function wordsOf(phase: BenchPhase): object {
  return {
    name: phase.name,
    jobs: phase.jobs,
    elapsed_ms: Math.round(phase.elapsedMs),
    per_second: Math.round(phase.perSecond),
    call_ms_p50: phase.callMsP50,
    call_ms_p99: phase.callMsP99,
  }
}
