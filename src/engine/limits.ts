// Every bound of the server, in one place. Reaching one is a refusal with a code; nothing grows without one.
//
// Units are the last word of a name. Values that an operator may change are in `src/config.ts`,
// which takes its defaults and its bounds from here.

const KIB = 1024
const MIB = 1024 * KIB
const DAY_MS = 24 * 60 * 60 * 1000

export const limits = {
  shards: 32,

  /** One line on the wire, its newline not counted. Admits a 1,000-job PUSHB of 16 KB jobs. */
  frameBytesMax: 16 * MIB,
  /** The same before AUTH, when tokens are configured. */
  frameBytesMaxBeforeAuth: 4 * KIB,
  /** Jobs in a PUSHB, ids in an ACKB, HEARTBEAT or RELEASE. */
  batchMax: 1000,
  /** `count` of PULLB and DLQ is reduced to this. */
  pullCountMax: 1000,
  /** A PULLB hands out fewer jobs than asked when their data could exceed this; one always fits. */
  pullBytesMax: 32 * MIB,

  dataBytesMax: 1 * MIB,
  resultBytesMax: 1 * MIB,
  errorBytesMax: 8 * KIB,
  messageBytesMax: 8 * KIB,
  logLineBytesMax: 4 * KIB,
  /** Lines kept of one job, the newest. */
  logLinesMax: 100,
  /** Nesting of `data`, `result` and every other JSON value a client sends. */
  jsonDepthMax: 64,

  queueNameBytesMax: 256,
  cronNameBytesMax: 256,
  uniqueKeyBytesMax: 256,
  reqIdBytesMax: 64,
  tokenBytesMax: 4 * KIB,
  scheduleBytesMax: 256,
  tagsMax: 32,
  tagBytesMax: 64,
  dependenciesMax: 100,
  /** Children that may wait for one parent. */
  childrenMax: 100_000,

  delayMsMax: 365 * DAY_MS,
  ttlMsMax: 365 * DAY_MS,
  timeoutMsMax: 365 * DAY_MS,
  backoffMsMax: 365 * DAY_MS,
  leaseMsMax: DAY_MS,
  waitMsMax: DAY_MS,
  attemptsMax: 0xffff_ffff,
  rateLimitMax: 0xffff_ffff,
  concurrencyMax: 0xffff_ffff,
  /** base * 2^exponent, the exponent held here; the product held at `backoffMsMax`. */
  backoffExponentMax: 10,
  /** A job without backoff is retried at once this many times; after that it pauses between runs. */
  quickRetriesMax: 3,
  retryPauseMs: 1000,
  /** Timers that one tick handles before the commands that wait get their turn. */
  timersPerTickMax: 5000,

  /** Crons of a shard that are looked at in one tick: parsing an expression anew takes some 90 µs. */
  cronsPerTickMax: 100,
  /** A tick of a cron that is not confirmed is sent again after this. */
  cronResendMs: 1000,
  /** After a gap each tick of this last while fires; of older ones only the newest. */
  cronCatchUpMs: 60_000,

  /** LISTJOBS: jobs in an answer, jobs skipped, bytes of the text that is looked for, bytes of the jobs in an answer. */
  listCountMax: 1000,
  listOffsetMax: 100_000,
  listTextBytesMax: 1 * KIB,
  listBytesMax: 4 * MIB,
  /** Looks at a row that a worker takes in one turn, about 1 ms; and turns before an answer goes out as it is. */
  listLooksMax: 300_000,
  listRoundsMax: 48,

  /** DRAIN, DELETEQUEUE: jobs taken out and looked at in one turn, about 1 ms; fewer when somebody listens. */
  clearedPerTurnMax: 2048,
  clearedWatchedMax: 256,
  clearLooksMax: 262_144,
  clearingsPerShardMax: 64,

  queuesPerShardMax: 100_000,
  cronsPerShardMax: 10_000,
  waitingPullsPerQueueMax: 100_000,

  /** Of the whole node: every shard holds them all. */
  webhooksMax: 100,
  webhookUrlBytesMax: 2048,
  webhookEventsMax: 32,
  webhookHeadersMax: 8,
  webhookHeaderBytesMax: 1 * KIB,
  /** A secret as text; what `whsec_` stands before is bounded decoded. */
  webhookSecretBytesMax: 256,
  webhookKeyBytesMin: 24,
  webhookKeyBytesMax: 64,
  webhookReasonBytesMax: 256,
  /** The secret before still signs for so long after a new one was set. */
  webhookRotationMs: DAY_MS,
  /** Events that wait for one webhook, per shard; later ones are dropped and counted. */
  webhookOutboxMax: 10_000,
  /** Of all of them, per shard: the outbox is part of a checkpoint's meta. */
  webhookOutboxBytesMax: 16 * MIB,
  /** A delivery of which nothing was heard is named to the deliverer again. */
  webhookResendMs: 5 * 60_000,
  /** The list is sent again to shards that have not confirmed it. */
  webhooksResendMs: 1000,
  /** A change is answered after so long, also when some shard has not confirmed it. */
  webhooksAnswerMsMax: 3000,
  /** Of one attempt. */
  webhookConnectMs: 3000,
  webhookTotalMs: 15_000,
  /** Of an answer to a delivery. */
  webhookAnswerHeadBytesMax: 16 * KIB,
  webhookAnswerBytesMax: 64 * KIB,
  /** A receiver may ask for so long a pause. */
  webhookRetryAfterMsMax: 60 * 60_000,
  /** Attempts under way of one worker: to one host, and in all. */
  webhookPerHostMax: 4,
  webhooksUnderWayMax: 64,
  /** Attempts that are remembered per webhook. */
  webhookTriesKept: 50,

  /** Commands of one connection that are not answered yet; above it the server stops reading. */
  inFlightPerConnectionMax: 1024,
  /** Commands in a row for one other worker, and none for any other, after which a connection moves there. */
  commandsBeforeMove: 32,
  /** Bytes a peer has not read; above it the server stops reading from that peer. */
  outgoingBytesHigh: 8 * MIB,
  /** Above it the connection is closed: the peer does not read at all. */
  outgoingBytesMax: 64 * MIB,
  /** Unsent event bytes of one subscriber; above it events are dropped and counted. */
  subscriberBytesMax: 1 * MIB,
  subscriptionsPerConnectionMax: 1000,

  /** Events that one worker tells to streams in a second, for long; what is beyond is counted, and told as dropped. */
  eventsPerSecondMax: 50_000,
  /** The same at once. */
  eventBurstMax: 100_000,
  /** When everybody who hears a worker's events is further behind, it leaves out what comes. */
  eventLagMax: 4096,
  /** Events that streams have not got, over all of them: a worker with more takes no more from the others. */
  eventsWaitingMax: 65_536,
  /** So many may wait for each stream all the same. */
  eventsWaitingPerStream: 1024,
  /** Of its own events, what a worker keeps for those who come back. */
  eventRingBytesMax: 4 * MIB,
  eventRingCountMax: 32_768,
  /** Numbering goes on for so long after the last stream has ended. */
  eventLingerMs: 60_000,
  /** Events of all workers that a worker with streams keeps; a stream that is further behind loses the oldest. */
  eventHistoryBytesMax: 16 * MIB,
  /** Part of a worker's time that is spent on writing to streams. */
  streamTimeShare: 0.05,
  streamsPerWorkerMax: 2000,
  /** Of one token; of one address where there are no tokens. Streams of events, and of jobs. */
  streamsPerOwnerMax: 100,
  jobStreamsPerOwnerMax: 1000,
  queuesPerStreamMax: 100,
  lastEventIdBytesMax: 4 * KIB,
  streamQuietMs: 15_000,
  /** A stream whose peer takes nothing for so long is closed. */
  streamStallMs: 30_000,
  /** One message of a WebSocket client. */
  webSocketMessageBytesMax: 64 * KIB,
  /** Messages, pings and pongs of a WebSocket client in a second. */
  webSocketMessagesPerSecondMax: 100,
  connectionsPerWorkerMax: 10_000,
  /** Connections that are refused and may read why; more are closed at once. */
  turnedAwayMax: 256,
  /** Of one token to one worker, at all doors, unless AUTH_FILE says otherwise. */
  connectionsPerTokenMax: 1000,
  /** Of HTTP, and of a worker. */
  httpHeadersMax: 100,
  httpHeaderBytesMax: 16 * KIB,
  /** From the first byte of a request to the last of its headers, and of its body. */
  httpHeadersMsMax: 10_000,
  httpRequestMsMax: 30_000,
  /** How often these two are looked at. */
  httpCheckEveryMs: 5000,
  httpKeepAliveMs: 72_000,
  httpRequestsPerSocketMax: 10_000,
  /** Requests with an `Upgrade` that is not looked at: each leaves something behind at its connection. */
  httpUpgradesPerSocketMax: 100,
  /** Nothing is read or written for so long: the connection is closed. Longer than any wait. */
  httpIdleMsMax: 90_000,
  /** Of anything but a batch. Twice the longest `data`: it may be indented. */
  httpBodyBytesMax: 2 * MIB,
  /** A reply above the first must be read within the second. */
  httpReplyBytesUnwatched: 64 * KIB,
  httpWriteMsMax: 30_000,
  /** Of a path, percent-decoded. */
  pathPartBytesMax: 2 * KIB,
  /** How long a pull over HTTP waits: when it does not say, and at most. */
  pollMs: 30_000,
  pollMsMax: 60_000,
  pollsPerConnectionMax: 4,
  authFailuresMax: 10,
  authFailureWindowMs: 60_000,
  /** Connections of one address to one worker that have not authenticated yet. */
  strangersPerAddressMax: 100,
  /** To authenticate, TLS handshake included, where tokens are needed. */
  authTimeoutMs: 10_000,
  /** Entries of AUTH_FILE, its size, and what one entry may have. */
  issuedTokensMax: 10_000,
  tokenFileBytesMax: 8 * MIB,
  tokenNameBytesMax: 64,
  queuePatternsMax: 100,
  /** What AUTH_FILE may allow a token: connections, commands and bytes a second. */
  tokenQuotaMax: 0xffff_ffff,
  /** Different jobs that a PUSHB may depend on, when its token is for some queues only: each is looked up. */
  guardedParentsMax: 1000,

  /** One message of gRPC, in either direction: what clients accept unless they are told otherwise. */
  grpcMessageBytesMax: 4 * MIB,
  /** Calls of one connection at a time; a waiting pull is one, and must not keep acks from being sent. */
  grpcCallsPerConnectionMax: 1000,
  /** Of a call: names and values. */
  grpcHeaderBytesMax: 16 * KIB,
  /** Calls of a connection that are reset so soon after they began: at most so many in so long. */
  grpcResetSoonMs: 1000,
  grpcResetsMax: 200,
  grpcResetsWindowMs: 10_000,
  /** Jobs of one pull of a stream. */
  grpcBatchMax: 100,
  /** Jobs that are out on a stream. */
  grpcPrefetchMax: 1000,
  grpcPrefetchDefault: 32,
  /** A stream without credit asks after so long which of its jobs are still out. */
  grpcCreditCheckMs: 1000,
  /** A connection is pinged so often, and is dead when no answer comes within the second time. */
  grpcPingMs: 15_000,
  grpcPingTimeoutMs: 15_000,

  /** What a consumer says of itself: its name, its host, its version. */
  consumerNameBytesMax: 128,
  consumerQueuesMax: 100,
  /** Consumers that one worker knows by their heartbeats over HTTP. */
  consumersPerWorkerMax: 10_000,
  consumerSilenceMsMax: 30_000,

  /** Spans that wait for the collector; one more is dropped. */
  spansWaitingMax: 4096,

  /** Queues that metrics name; the rest is `other`. */
  metricsQueuesMax: 100,

  /** Bytes queued on the link to one other worker; above it forwards are refused. */
  linkBacklogBytesMax: 64 * MIB,

  /** One append to the journal; one record always fits. */
  journalBatchBytesMax: 1 * MIB,

  /** setTimeout fires at once beyond this; longer waits are taken in pieces. */
  timerMsMax: 2 ** 31 - 1,
} as const
