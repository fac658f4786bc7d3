// The composition root: the only file that knows all rooms. It makes a primary or a worker of this process.

import { banner } from './banner.ts'
import { whyNotBindable } from './cluster/bind-probe.ts'
import { SteadyClock } from './cluster/clock.ts'
import { makeObjectsYoung } from './cluster/collector.ts'
import { Primary, readIdentity } from './cluster/primary.ts'
import { ShardRunner } from './cluster/shard-runner.ts'
import { runWorker } from './cluster/worker.ts'
import type { Config } from './config.ts'
import { configWarnings } from './config-warnings.ts'
import { credentialWarnings, whyNotCredentials } from './credentials.ts'
import { doorsOf, portsOf } from './doors.ts'
import type { DurableNode } from './durable.ts'
import type { JobWatch } from './engine/job-watch.ts'
import type { DoorPorts } from './engine/ports.ts'
import { Traffic } from './engine/traffic.ts'
import type { Guards } from './failpoints.ts'
import { createLogger, type Logger } from './logger.ts'
import { EventHub } from './transports/events/hub.ts'
import { readInto } from './transports/tcp/read-buffer.ts'
import { removeStaleSocket } from './transports/tcp/stale-socket.ts'
import type { OtlpExporter } from './transports/tracing/otlp-exporter.ts'
import { wireCodec } from './transports/wire/codec.ts'
import { version } from './version.ts'
import { type WorkerWebhooks, webhooksOf } from './webhooks.ts'

/** Time for an embedded PostgreSQL to write what it has. */
const NODE_STOP_MS = 20_000

export async function startPrimary(config: Config): Promise<void> {
  const log = createLogger({ level: config.logLevel })
  const problems = await whyNotStart(config)
  for (const problem of problems) log.error({}, problem)
  if (problems.length > 0) process.exit(1)
  for (const warning of credentialWarnings(config, Date.now())) log.warn({}, warning)
  const clock = new SteadyClock()
  const isDurable = config.databaseUrl !== null
  let node: DurableNode | null = null
  const primary = new Primary({
    workers: config.workers,
    ports: portsOf(config),
    drainTimeoutMs: config.drainTimeoutMs,
    isDurable,
    log,
    nowMs: () => clock.nowMs(),
    onReady: (ports) => ready(config, log, ports),
    exit: (code) => exit(code, node, log),
  })
  const bug = (error: unknown): void => {
    log.error({ err: error }, 'a bug: the server exits')
    primary.end(1)
  }
  process.on('uncaughtException', bug)
  process.on('unhandledRejection', bug)
  process.on('SIGTERM', (signal) => primary.stop(signal))
  process.on('SIGINT', (signal) => primary.stop(signal))
  process.on('SIGHUP', () => primary.restartWorkers())
  if (isDurable) {
    try {
      const { startDurableNode } = await import('./durable.ts')
      node = await startDurableNode(config, log, {
        onLease: (untilMs) => primary.leaseRenewed(untilMs),
        onWake: () => primary.wake(),
      })
    } catch (error) {
      log.fatal({ err: error }, `no database: ${(error as Error).message}`)
      process.exit(1)
    }
  }
  primary.start(node?.environment ?? {})
}

/** The workers have ended: what they stood on may, too. */
function exit(code: number, node: DurableNode | null, log: Logger): void {
  if (node === null) return process.exit(code)
  setTimeout(() => process.exit(code), NODE_STOP_MS).unref()
  node.stop().then(
    () => process.exit(code),
    (error: unknown) => {
      log.error({ err: error }, 'the node did not leave the database cleanly')
      process.exit(code === 0 ? 1 : code)
    },
  )
}

export async function startWorker(config: Config): Promise<void> {
  makeObjectsYoung()
  const identity = readIdentity(process.env)
  const clock = new SteadyClock()
  const events = new EventHub()
  const traffic = new Traffic()
  const log = createLogger({ level: config.logLevel, bindings: { worker: identity.worker } })
  let runner: ShardRunner | null = null
  let webhooks: WorkerWebhooks | null = null
  const runnerNow = (): ShardRunner => runner as unknown as ShardRunner
  const guards = await guardsForTests(process.env)
  const spans = config.otlpEndpoint === null ? null : await tracing(config.otlpEndpoint, log)
  // Loaded only where there is a database.
  const durable =
    config.databaseUrl === null
      ? null
      : (await import('./durable.ts')).durableWorker(config, clock, log, runnerNow, guards)
  runWorker({
    ...identity,
    clock,
    codec: guards?.codec(wireCodec) ?? wireCodec,
    readInto,
    events,
    log,
    traffic,
    durable,
    makeRunner: (mail, hold, reserve) => {
      webhooks = webhooksOf(config, clock, log, {
        take: (ref) => runnerNow().takeDelivery(ref),
        report: (letter) => mail.webhook(letter),
      })
      runner = new ShardRunner({
        clock,
        ...(hold === null ? {} : { durable: { hold, lines: events } }),
        mail,
        events,
        watch: spans?.watch,
        reserve,
        memoryBytesMax: Math.floor(config.memoryBytesMax / config.workers),
        webhooks: webhooks.deliverer,
        retention: {
          count: config.retentionCount,
          ageMs: config.retentionMs,
          bytes: config.retentionBytes,
        },
      })
      return runner
    },
    makeListeners: (gate, moves, life, view) =>
      doorsOf({
        config,
        view,
        traffic,
        store: durable?.figures ?? null,
        spans: spans?.exporter ?? null,
        origin: identity,
        gate,
        moves,
        clock,
        log,
        webhooks,
        node: {
          ...life,
          id: process.env['FLASHQ_NODE'] ?? null,
          startedAtMs: identity.nodeStartedAtMs,
        },
      }),
  })
}

/** Loaded only where spans have somewhere to go. */
async function tracing(
  endpoint: string,
  log: Logger,
): Promise<{ readonly exporter: OtlpExporter; readonly watch: JobWatch }> {
  const [{ OtlpExporter }, { JobSpans }] = await Promise.all([
    import('./transports/tracing/otlp-exporter.ts'),
    import('./transports/tracing/job-spans.ts'),
  ])
  const resource = { 'service.name': 'flashq', 'service.version': version }
  const exporter = new OtlpExporter({ endpoint, resource, log })
  return { exporter, watch: new JobSpans(exporter) }
}

/** Null, except where a test wants this worker to die or fail at a chosen moment. */
async function guardsForTests(env: NodeJS.ProcessEnv): Promise<Guards | null> {
  if (env['NODE_ENV'] !== 'test' || !env['FLASHQ_FAILPOINTS']) return null
  const { guardsFrom } = await import('./failpoints.ts')
  return guardsFrom(env)
}

async function whyNotStart(config: Config): Promise<readonly string[]> {
  const problems = whyNotCredentials(config)
  if (problems.length > 0) return problems
  if (config.unixSocket !== null) {
    try {
      await removeStaleSocket(config.unixSocket)
    } catch (error) {
      return [`cannot listen on ${config.unixSocket}: ${(error as Error).message}`]
    }
  }
  const ports = Object.values(portsOf(config))
  const why = await whyNotBindable(config.host, ports, config.unixSocket)
  return why === null ? [] : [why]
}

function ready(config: Config, log: Logger, ports: DoorPorts): void {
  const warnings = configWarnings(config, process.env)
  for (const warning of warnings) log.warn({}, warning)
  const { host, unixSocket, workers } = config
  const { tcp: port, http: httpPort, grpc: grpcPort } = ports
  log.info({ host, port, httpPort, grpcPort, unixSocket, workers }, 'ready')
  process.stderr.write(banner(config, ports, warnings))
}
