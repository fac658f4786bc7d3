// The benches: starts servers and load processes, runs the scenarios one after another, prints one table.
//
//   run.ts ─▶ scenarios/*   what is compared, in which order
//             ├─▶ servers/  the product, the echo ceiling, peers: started as processes, always stopped
//             ├─▶ load/     the load process (and `peers/*-driver`): one spec in, figures out
//             └─▶ report/   rows, bars, the table
//
// A scenario that fails is a line in the table and exit code 1; the others still run. A bar that is missed is not a failure
// of the bench: the table says "below".

import { fileURLToPath } from 'node:url'
import { isMeant, type Options, parseOptions, usage } from './options.ts'
import { describeMachine } from './report/machine.ts'
import { Report } from './report/report.ts'
import { backlog } from './scenarios/backlog.ts'
import { batch } from './scenarios/batch.ts'
import { type Bench, type Scenario, standard } from './scenarios/bench.ts'
import { bullmq } from './scenarios/bullmq.ts'
import { bunqueue } from './scenarios/bunqueue.ts'
import { client } from './scenarios/client.ts'
import { consumers } from './scenarios/consumers.ts'
import { cycle } from './scenarios/cycle.ts'
import { durableBurndown } from './scenarios/durable-burndown.ts'
import { durableFailover } from './scenarios/durable-failover.ts'
import { durableLatency } from './scenarios/durable-latency.ts'
import { durableLife } from './scenarios/durable-life.ts'
import { durableSingle } from './scenarios/durable-single.ts'
import { durableSnapshot } from './scenarios/durable-snapshot.ts'
import { durableStart } from './scenarios/durable-start.ts'
import { events } from './scenarios/events.ts'
import { grpc } from './scenarios/grpc.ts'
import { http } from './scenarios/http.ts'
import { owner } from './scenarios/owner.ts'
import { queues } from './scenarios/queues.ts'
import { single } from './scenarios/single.ts'
import { guardChildren, stopAllChildren } from './servers/child.ts'
import { startLoadDriver } from './servers/driver.ts'
import { foreignServer, startEcho, startFlashQ } from './servers/server.ts'

const scenarios: Scenario[] = [
  batch,
  single,
  cycle,
  consumers,
  queues,
  owner,
  events,
  client,
  grpc,
  http,
  bullmq,
  bunqueue,
  backlog,
  durableLife,
  durableSingle,
  durableBurndown,
  durableLatency,
  durableSnapshot,
  durableFailover,
  durableStart,
]
const repository = fileURLToPath(new URL('..', import.meta.url))

process.exitCode = await main(parseOptions(process.argv.slice(2)))

async function main(options: Options): Promise<number> {
  if (options.help || options.list) {
    console.log(options.help ? usage : scenarios.map((one) => one.name).join('\n'))
    return 0
  }
  guardChildren()
  const machine = describeMachine(options.mode.name, repository)
  const report = new Report()
  let failed = 0
  for (const scenario of chosen(options)) {
    try {
      await runOne(scenario, options, report)
    } catch (cause) {
      failed += 1
      const reason = cause instanceof Error ? cause.message : String(cause)
      report.skip(scenario.name, 'the scenario failed', reason)
      log(`  FAILED: ${cause instanceof Error ? cause.stack : reason}`)
    } finally {
      await stopAllChildren()
    }
  }
  console.log(`\n${report.text(machine)}`)
  const toFiles =
    options.results ??
    (options.mode.name === 'tiny'
      ? 'none'
      : fileURLToPath(new URL('../bench/results', import.meta.url)))
  if (toFiles !== 'none') log(`written to ${report.save(toFiles, machine)}`)
  return failed === 0 ? 0 : 1
}

function chosen(options: Options): Scenario[] {
  const unknown =
    options.only?.filter((name) => !scenarios.some((one) => isMeant(name, one.name))) ?? []
  if (unknown.length > 0)
    throw new Error(`no such scenario: ${unknown.join(', ')} (--list names them)`)
  return scenarios
    .filter((one) => options.only?.some((name) => isMeant(name, one.name)) ?? true)
    .filter((one) => options.mode.peers || !one.peer)
    .filter((one) => options.target === undefined || one.foreign)
}

/** Every scenario has load processes of its own, so that none inherits the heap of another. */
async function runOne(scenario: Scenario, options: Options, report: Report): Promise<void> {
  const startMs = performance.now()
  log(scenario.name)
  const { target } = options
  let queueCount = 0
  const bench: Bench = {
    mode: options.mode,
    report,
    load: startLoadDriver('load process'),
    probe: startLoadDriver('probe process'),
    extra: startLoadDriver('extra process'),
    foreign: target !== undefined,
    startServer: async (workers, more = {}) =>
      target === undefined
        ? startFlashQ(workers === undefined ? more : { ...more, workers }, options.server)
        : foreignServer(target, options.targetPid),
    startEcho: (dataBytes, kind = 'bare') => startEcho(kind, standard.batch, dataBytes),
    newQueue: (hint) => {
      queueCount += 1
      return `bench-${hint}-${process.pid}-${queueCount}`
    },
    log,
  }
  await scenario.run(bench)
  await Promise.all([bench.load.end(), bench.probe.end(), bench.extra.end()])
  log(`  took ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
}

/** Progress goes to standard error, so that standard output is the table alone. */
function log(text: string): void {
  process.stderr.write(`${text}\n`)
}
