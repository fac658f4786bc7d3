// The client: one method per command of the server, over one connection.
//
// 1. Any number of calls may be under way at once; a waiting pull holds up nothing.
// 2. A method called before `connect()` connects by itself. After `close()` every call ends with `Not connected`,
//    until `connect()` is called again.
// 3. `error` is emitted only when somebody listens.
//
// Neighbours: `batcher.ts` joins the pushes and acks of a tick, `transport.ts` says what carries them (`connection.ts`
// or `http/http-transport.ts`), `command.ts` and `reply.ts` are the words. `worker.ts` is built on this class alone.

import { BATCH_CALLS_MAX } from './batch-request.ts'
import { Batcher } from './batcher.ts'
import type {
  AckBatchOptions,
  CloseOptions,
  ConsumerClaims,
  EventOptions,
  FlashQEvents,
  HeartbeatOptions,
  TokenOption,
  Tokens,
} from './call-options.ts'
import * as commands from './command.ts'
import { Emitter } from './emitter.ts'
import { FlashQError } from './errors.ts'
import type { EventStream } from './event-stream.ts'
import { EventTeller } from './event-teller.ts'
import { Feeds } from './feeds.ts'
import { HandBack } from './hand-back.ts'
import type {
  BatchJob,
  BatchOutcome,
  CronJob,
  CronOptions,
  EventListener,
  EventName,
  Health,
  Job,
  JobInFull,
  JobLogs,
  JobPage,
  JobProgress,
  JobState,
  JobWithState,
  ListOptions,
  Metrics,
  NodeInfo,
  PushOptions,
  QueueInfo,
  QueueStats,
  WorkerInfo,
} from './job.ts'
import { jobFieldsText } from './job-text.ts'
import { optionalNumber, valueText } from './json-text.ts'
import { type ClientOptions, resolveSettings, type Settings } from './options.ts'
import type { PullOptions } from './pull-request.ts'
import { Puller } from './puller.ts'
import { joinPushMany, pushManyFrames, readPushManyPart } from './push-many.ts'
import * as reply from './reply.ts'
import { CommandRequest, type Request } from './request.ts'
import type { Door, Transport, TransportHooks } from './transport.ts'
import type { Webhook, WebhookAttempt, WebhookChanges, WebhookOptions } from './webhook.ts'

const CLOSE_MS = 1000
const NO_HOOKS: TransportHooks = { opened() {}, lost() {}, reconnecting() {}, failed() {} }

export class FlashQClient extends Emitter<FlashQEvents> {
  readonly #settings: Settings
  readonly #door: Door
  readonly #transport: Transport
  readonly #batcher: Batcher
  readonly #handBack: HandBack
  readonly #puller: Puller
  readonly #feeds: Feeds

  constructor(options: ClientOptions, door: Door) {
    super()
    this.#settings = resolveSettings(options, door.isHttp)
    this.#door = door
    this.#transport = door.transport(this.#settings, {
      opened: () => this.emit('connect'),
      lost: () => this.emit('disconnect'),
      reconnecting: (attempt, delayMs) => this.emit('reconnecting', attempt, delayMs),
      failed: (fault) => this.#report(fault),
    })
    this.#batcher = new Batcher((batch) => this.#transport.send(batch), this.#settings.autoBatch)
    this.#feeds = new Feeds((wish, event) =>
      door.feed({ ...this.#settings, token: this.#transport.token }, wish, {
        event,
        failed: (fault) => this.#report(fault),
      }),
    )
    const another = { ...this.#settings, retryConnect: false }
    this.#handBack = new HandBack(this.#transport, () => door.transport(another, NO_HOOKS))
    this.#puller = new Puller(this.#transport, this.#handBack, (request) => this.#send(request))
  }

  /** Rejects when the first connection fails, unless `retryConnect` is set. */
  connect(): Promise<void> {
    return this.#transport.connect()
  }

  /** What was sent may still be answered for a moment; all else ends with code `closed`. */
  async close(options: CloseOptions = {}): Promise<void> {
    this.#batcher.flush()
    const timeoutMs = options.timeoutMs ?? CLOSE_MS
    await Promise.all([this.#transport.close(timeoutMs), this.#feeds.close()])
    await this.#handBack.finish()
  }

  /** Whether it speaks HTTP. */
  get isHttp(): boolean {
    return this.#door.isHttp
  }

  isConnected(): boolean {
    return this.#transport.isOpen
  }

  /** Remembers the token for the connections to come. */
  async auth(token: string): Promise<void> {
    await this.#call(commands.authCommand(token), reply.readNothing)
    this.#transport.token = token
  }

  /**
   * Says who consumes here, for the server's list of consumers (`listWorkers`). Over TCP it is about this connection, as
   * long as it lives; over HTTP it counts for 30 s. A `Worker` does it by itself.
   */
  async hello(name: string, claims: ConsumerClaims): Promise<void> {
    return this.#call(commands.helloCommand(name, claims), reply.readNothing)
  }

  /** The job as accepted; `created_at` and `run_at` are estimates by this machine's clock. */
  push<T = unknown>(queue: string, data: T, options?: PushOptions): Promise<Job<T>> {
    const refusal = this.#transport.refusesCall(this.#batcher.openCalls)
    if (refusal !== null) return Promise.reject(refusal)
    try {
      const fields = jobFieldsText(data, options)
      return this.#batcher.push(queue, fields, data, options) as Promise<Job<T>>
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The ids, in order. Throws a BatchError, which has the ids of the others, when some jobs were refused. */
  async pushBatch(queue: string, jobs: readonly BatchJob[]): Promise<number[]> {
    const frames = pushManyFrames(queue, jobs)
    const parts = frames.map((frame) => this.#call(frame.command, readPushManyPart))
    return joinPushMany(frames, await Promise.allSettled(parts))
  }

  /** Waits at the server until there is a job; with `wait`, null when that time is over. */
  pull<T = unknown>(queue: string): Promise<Job<T>>
  pull<T = unknown>(queue: string, options: PullOptions & { wait?: undefined }): Promise<Job<T>>
  pull<T = unknown>(queue: string, options: PullOptions): Promise<Job<T> | null>
  async pull(queue: string, options: PullOptions = {}): Promise<Job | null> {
    const [job] = await this.#puller.pull(queue, null, options)
    if (job === undefined && options.wait === undefined) throw reply.unexpected('PULL', 'no job')
    return job ?? null
  }

  /** At least one job and at most `count` (1,000); with `wait`, none when that time is over. */
  async pullBatch<T = unknown>(
    queue: string,
    count: number,
    options: PullOptions = {},
  ): Promise<Job<T>[]> {
    return (await this.#puller.pull(queue, count, options)) as Job<T>[]
  }

  ack(jobId: number, result?: unknown, options?: TokenOption): Promise<void> {
    const refusal = this.#transport.refusesCall(this.#batcher.openCalls)
    if (refusal !== null) return Promise.reject(refusal)
    try {
      const text = result === undefined || result === null ? '' : valueText(result)
      return this.#batcher.ack(jobId, text, options?.token)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** How many were acknowledged; the others were not active, or the token was stale. */
  async ackBatch(jobIds: readonly number[], options: AckBatchOptions = {}): Promise<number> {
    const { tokens, results } = options
    const outcome = await this.#forEachPart(jobIds, (from, to) => {
      const part = results?.slice(from, to).map((result) => result ?? null)
      const rest = part === undefined ? '' : `,"results":${valueText(part)}`
      return commands.idsCommand('ACKB', jobIds.slice(from, to), tokens?.slice(from, to), rest)
    })
    return outcome.count
  }

  async fail(jobId: number, error?: string, options?: TokenOption): Promise<void> {
    return this.#call(commands.failCommand(jobId, error, options?.token), reply.readNothing)
  }

  /** Extends leases. One id: rejects when the lease is lost; several: tells which were. */
  heartbeat(jobId: number, options?: HeartbeatOptions): Promise<void>
  heartbeat(jobIds: readonly number[], options?: HeartbeatOptions): Promise<BatchOutcome>
  async heartbeat(
    target: number | readonly number[],
    options: HeartbeatOptions = {},
  ): Promise<unknown> {
    const rest = optionalNumber('lease', options.lease)
    if (typeof target === 'number') {
      return this.#forOne('HEARTBEAT', target, options.token, rest)
    }
    return this.#forEachPart(target, (from, to) =>
      commands.idsCommand(
        'HEARTBEAT',
        target.slice(from, to),
        options.tokens?.slice(from, to),
        rest,
      ),
    )
  }

  /** Gives active jobs back to their queue at once, no run counted. One id: rejects when it is not held. */
  release(jobId: number, token?: number): Promise<void>
  release(jobIds: readonly number[], tokens?: Tokens): Promise<BatchOutcome>
  async release(target: number | readonly number[], tokens?: number | Tokens): Promise<unknown> {
    if (typeof target === 'number') {
      return this.#forOne('RELEASE', target, typeof tokens === 'number' ? tokens : undefined, '')
    }
    const all = typeof tokens === 'number' ? [tokens] : tokens
    return this.#forEachPart(target, (from, to) =>
      commands.idsCommand('RELEASE', target.slice(from, to), all?.slice(from, to)),
    )
  }

  /** Null when the server does not know the job, or no longer. */
  async getJob<T = unknown>(jobId: number): Promise<JobWithState<T> | null> {
    const found = await this.#call(commands.getJobCommand(jobId), reply.readJobWithState)
    return found as JobWithState<T> | null
  }

  /** The job with its result, its error and when it ended. */
  async getJobInFull<T = unknown, R = unknown>(jobId: number): Promise<JobInFull<T, R>> {
    const found = await this.#call(commands.getJobInFullCommand(jobId), reply.readJobInFull)
    return found as JobInFull<T, R>
  }

  async getState(jobId: number): Promise<JobState> {
    return this.#call(commands.getStateCommand(jobId), reply.readState)
  }

  async getResult<R = unknown>(jobId: number): Promise<R | null> {
    return (await this.#call(commands.getResultCommand(jobId), reply.readResult)) as R | null
  }

  async cancel(jobId: number): Promise<void> {
    return this.#call(commands.cancelCommand(jobId), reply.readNothing)
  }

  /** A delayed job is ready now. */
  async promote(jobId: number): Promise<void> {
    return this.#call(commands.promoteCommand(jobId), reply.readNothing)
  }

  /** `value` is rounded, and held within 0 and 100. */
  async progress(
    jobId: number,
    value: number,
    message?: string,
    options?: TokenOption,
  ): Promise<void> {
    const command = commands.progressCommand(jobId, value, message, options?.token)
    return this.#call(command, reply.readNothing)
  }

  /** Notes a line of at most 4 KiB with a job that is not completed. */
  async log(jobId: number, line: string, options?: TokenOption): Promise<void> {
    return this.#call(commands.logCommand(jobId, line, options?.token), reply.readNothing)
  }

  async getLogs(jobId: number): Promise<JobLogs> {
    return this.#call(commands.getLogsCommand(jobId), reply.readLogs)
  }

  async getProgress(jobId: number): Promise<JobProgress> {
    return this.#call(commands.getProgressCommand(jobId), reply.readProgress)
  }

  /** A page of jobs, the one pushed last first; `cursor` of the answer asks for the next one. */
  async listJobs<T = unknown, R = unknown>(options: ListOptions = {}): Promise<JobPage<T, R>> {
    const page = await this.#call(commands.listJobsCommand(options), reply.readJobPage)
    return page as JobPage<T, R>
  }

  /** Oldest failure first; at most 1,000. */
  async getDlq<T = unknown>(queue: string, count = 100): Promise<Job<T>[]> {
    return (await this.#call(commands.dlqCommand(queue, count), reply.readJobs)) as Job<T>[]
  }

  /** One job, or all of the queue. Returns how many. */
  async retryDlq(queue: string, jobId?: number): Promise<number> {
    return this.#call(commands.retryDlqCommand(queue, jobId), reply.readCount)
  }

  /** One job, or all of the queue. Returns how many. */
  async purgeDlq(queue: string, jobId?: number): Promise<number> {
    return this.#call(commands.purgeDlqCommand(queue, jobId), reply.readCount)
  }

  /** Takes out what is waiting or delayed, as if cancelled. Returns how many. */
  async drain(queue: string): Promise<number> {
    return this.#call(commands.drainCommand(queue), reply.readCount)
  }

  /**
   * Takes out all jobs that are not completed, dead letters included, and clears its settings. Returns how many. Rejects
   * with `queue_busy` while jobs are active, unless `force` cancels these too.
   */
  async deleteQueue(queue: string, options: { force?: boolean | undefined } = {}): Promise<number> {
    return this.#call(commands.deleteQueueCommand(queue, options.force), reply.readCount)
  }

  async pause(queue: string): Promise<void> {
    return this.#call(commands.pauseCommand(queue), reply.readNothing)
  }

  async resume(queue: string): Promise<void> {
    return this.#call(commands.resumeCommand(queue), reply.readNothing)
  }

  /** Jobs per second. */
  async setRateLimit(queue: string, limit: number): Promise<void> {
    return this.#call(commands.rateLimitCommand(queue, limit), reply.readNothing)
  }

  async clearRateLimit(queue: string): Promise<void> {
    return this.#call(commands.rateLimitClearCommand(queue), reply.readNothing)
  }

  /** Active jobs at a time. */
  async setConcurrency(queue: string, limit: number): Promise<void> {
    return this.#call(commands.setConcurrencyCommand(queue, limit), reply.readNothing)
  }

  async clearConcurrency(queue: string): Promise<void> {
    return this.#call(commands.clearConcurrencyCommand(queue), reply.readNothing)
  }

  async listQueues(): Promise<QueueInfo[]> {
    return this.#call(commands.listQueuesCommand(), reply.readQueues)
  }

  /** Replaces a cron of the same name. */
  async addCron(name: string, cron: CronOptions): Promise<void> {
    return this.#call(commands.cronCommand(name, cron), reply.readNothing)
  }

  /** Rejects with `Cron job not found` when there is none. */
  async deleteCron(name: string): Promise<boolean> {
    return this.#call(commands.cronDeleteCommand(name), reply.readTrue)
  }

  async listCrons(): Promise<CronJob[]> {
    return this.#call(commands.cronListCommand(), reply.readCrons)
  }

  /** Its id. Events that happen from now on are delivered to it. */
  async addWebhook(webhook: WebhookOptions): Promise<string> {
    return this.#call(commands.webhookCommand(null, webhook), reply.readWebhookId)
  }

  /** What is not named stays. A secret that is replaced signs for a day more. */
  async changeWebhook(id: string, changes: WebhookChanges): Promise<string> {
    return this.#call(commands.webhookCommand(id, changes), reply.readWebhookId)
  }

  /** Rejects with `Webhook not found` when there is none. */
  async deleteWebhook(id: string): Promise<boolean> {
    return this.#call(commands.webhookDeleteCommand(id), reply.readTrue)
  }

  async listWebhooks(): Promise<Webhook[]> {
    return this.#call(commands.webhookListCommand(), reply.readWebhooks)
  }

  /** Delivers an event of the name `ping`, about no job. Returns the delivery's id, as `webhookAttempts` has it. */
  async pingWebhook(id: string): Promise<string> {
    return this.#call(commands.webhookPingCommand(id), reply.readWebhookId)
  }

  /** Its last attempts, newest first. */
  async webhookAttempts(id: string): Promise<WebhookAttempt[]> {
    return this.#call(commands.webhookLogCommand(id), reply.readAttempts)
  }

  async stats(): Promise<QueueStats> {
    return this.#call(commands.statsCommand(), reply.readStats)
  }

  async metrics(): Promise<Metrics> {
    return this.#call(commands.metricsCommand(), reply.readMetrics)
  }

  /** Consumers that have told the server of themselves. By HTTP only. */
  async listWorkers(): Promise<WorkerInfo[]> {
    return this.#callHttp(commands.workersCommand(), reply.readWorkers)
  }

  /** By HTTP only. */
  async listNodes(): Promise<NodeInfo[]> {
    return this.#callHttp(commands.nodesCommand(), reply.readNodes)
  }

  /** By HTTP only. */
  async health(): Promise<Health> {
    return this.#callHttp(commands.healthCommand(), reply.readHealth)
  }

  /** Events of a queue (`*` = all names) over a connection of their own, until the returned function is called. */
  subscribe(
    queue: string,
    events: readonly (EventName | '*')[],
    listener: EventListener,
  ): Promise<() => Promise<void>> {
    const teller = new EventTeller(listener, (jobId) => this.getJob(jobId))
    return this.#feeds.subscribe(queue, events, (event) => teller.tell(event))
  }

  /** Events as they come, over a connection of their own, until the loop is left or the client closed. */
  events(options: EventOptions = {}): EventStream {
    return this.#feeds.stream(options)
  }

  async #callHttp<T>(command: commands.Command, read: (reply: reply.Reply) => T): Promise<T> {
    if (this.#door.isHttp) return this.#call(command, read)
    throw new FlashQError(
      'unsupported',
      'Only the HTTP interface knows this: use `useHttp` or an http:// URL',
    )
  }

  #call<T>(command: commands.Command, read: (reply: reply.Reply) => T): Promise<T> {
    const request = new CommandRequest(command, read)
    this.#send(request)
    return request.promise
  }

  #send(request: Request): void {
    const refusal = this.#transport.refusesCall(this.#batcher.openCalls)
    if (refusal !== null) {
      request.reject(refusal)
      return
    }
    this.#batcher.flush()
    this.#transport.send(request)
  }

  async #forOne(
    name: 'HEARTBEAT' | 'RELEASE',
    id: number,
    token: number | undefined,
    rest: string,
  ): Promise<void> {
    const tokens = token === undefined ? undefined : [token]
    const { errors } = await this.#call(
      commands.idsCommand(name, [id], tokens, rest),
      reply.readOutcome,
    )
    const [refusal] = errors
    if (refusal !== undefined) throw new FlashQError(refusal.code, refusal.error)
  }

  /** In frames of at most 1,000 ids. When one of several frames fails, the call fails, though others were done. */
  async #forEachPart(
    ids: readonly number[],
    command: (from: number, to: number) => commands.Command,
  ): Promise<BatchOutcome> {
    const parts: Promise<BatchOutcome>[] = []
    for (let from = 0; from < ids.length; from += BATCH_CALLS_MAX) {
      const to = Math.min(ids.length, from + BATCH_CALLS_MAX)
      parts.push(this.#call(command(from, to), reply.readOutcome))
    }
    const total: BatchOutcome = { count: 0, errors: [] }
    for (const [place, part] of (await Promise.all(parts)).entries()) {
      const base = place * BATCH_CALLS_MAX
      total.count += part.count
      for (const item of part.errors) total.errors.push({ ...item, index: base + item.index })
    }
    return total
  }

  #report(fault: Error): void {
    if (this.listenerCount('error') > 0) this.emit('error', fault)
  }
}
