// Random histories of commands and time, for the shards alone or for the shards beside their model.
//
// A step is five numbers, so that fast-check can shrink it; `Player` makes a command of it.

import fc from 'fast-check'
import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'
import { type EngineHarness, queueOfShard } from './engine-harness.ts'

export type Step = [op: number, a: number, b: number, c: number, d: number]

export const steps = (max: number): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.tuple(
      fc.nat(9999),
      fc.nat(9999),
      fc.nat(9999),
      fc.nat(9999),
      fc.nat(9999),
    ) as fc.Arbitrary<Step>,
    { maxLength: max, size: 'max' },
  )

/** Two queues of one shard, and two of others. */
export const QUEUES: readonly string[] = [
  queueOfShard(3),
  another(queueOfShard(3)),
  queueOfShard(7),
  queueOfShard(31),
]

/** The last one ends in half of a surrogate pair. */
const KEYS = ['k', 'ключ', 'a "quoted" \\ key\n', 'half \ud83d']
const MS = [0, 1, 3, 10, 40, 200, 1000]

export type Frame = Record<string, unknown> & { cmd: string }

/** Makes commands; remembers the ids and tokens that it has seen. */
export class Player {
  readonly ids: number[] = []
  readonly tokens = new Map<number, number>()

  frame([op, a, b, c, d]: Step): Frame {
    const queue = QUEUES[a % QUEUES.length] as string
    const made = frames[op % frames.length] as FrameMaker
    return made(this, queue, b, c, d)
  }

  id(pick: number): number {
    if (this.ids.length === 0 || pick % 23 === 0) return (pick % 5) * 32 + (pick % 32)
    // Mostly those of late.
    const from = pick % 4 === 0 ? 0 : Math.max(0, this.ids.length - 12)
    return this.ids[from + (pick % (this.ids.length - from))] as number
  }

  token(id: number, pick: number): number | null {
    if (pick % 3 !== 0) return null
    return pick % 4 === 0 ? (pick % 50) + 1 : (this.tokens.get(id) ?? 1)
  }

  some(pick: number): number[] {
    return Array.from({ length: pick % 6 }, (_, i) => this.id(pick * 7 + i * 13))
  }
}

type FrameMaker = (player: Player, queue: string, b: number, c: number, d: number) => Frame

function jobFields(player: Player, b: number, c: number, d: number): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    data: b % 3 === 0 ? null : { n: b, text: 'ü'.repeat(b % 9) },
  }
  if (c % 2 === 0) fields['priority'] = (c % 7) - 3
  if (c % 3 === 0) fields['delay'] = MS[d % MS.length]
  if (c % 5 === 0) fields['ttl'] = MS[b % MS.length]
  if (c % 4 === 0) fields['timeout'] = MS[(b + c) % MS.length]
  if (c % 3 === 1) fields['max_attempts'] = d % 4
  if (c % 6 === 1) fields['backoff'] = MS[(c + d) % MS.length]
  if (d % 5 === 0) fields['unique_key'] = KEYS[b % KEYS.length]
  if (d % 7 === 0) fields['tags'] = ['t', 'ü"'].slice(0, b % 3)
  if (d % 4 === 0 && player.ids.length > 0) {
    const parents = Array.from({ length: 1 + (b % 2) }, (_, i) => player.id(d + i * 3 + b))
    fields['depends_on'] = d % 16 === 0 ? [...parents, parents[0]] : parents
  }
  return fields
}

function pullFields(b: number, c: number, d: number): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  if (b % 3 !== 0) fields['wait'] = MS[b % MS.length]
  if (c % 3 === 0) fields['lease'] = MS[1 + (c % (MS.length - 1))]
  if (c % 2 === 0) fields['token'] = true
  if (d % 3 === 0) fields['release_on_close'] = true
  return fields
}

const push: FrameMaker = (player, queue, b, c, d) => ({
  cmd: 'PUSH',
  queue,
  ...jobFields(player, b, c, d),
})
const plainPush: FrameMaker = (_, queue, b) => ({ cmd: 'PUSH', queue, data: b })
const pushBatch: FrameMaker = (player, queue, b, c, d) => ({
  cmd: 'PUSHB',
  queue,
  jobs: Array.from({ length: b % 7 }, (_, i) =>
    d % 2 === 0 ? { data: i } : jobFields(player, b + i, c + i, d + 3 * i),
  ),
})
const pull: FrameMaker = (_, queue, b, c, d) => ({ cmd: 'PULL', queue, ...pullFields(b, c, d) })
const pullBatch: FrameMaker = (_, queue, b, c, d) => ({
  cmd: 'PULLB',
  queue,
  count: d % 9,
  ...pullFields(b, c, d),
})

function withToken(player: Player, id: number, pick: number): Record<string, unknown> {
  const token = player.token(id, pick)
  return token === null ? { id } : { id, token }
}

function withTokens(player: Player, ids: number[], pick: number): Record<string, unknown> {
  if (pick % 2 === 0) return { ids }
  return { ids, tokens: ids.map((id, i) => player.token(id, pick + i)) }
}

const ack: FrameMaker = (player, _, b, c, d) => ({
  cmd: 'ACK',
  ...withToken(player, player.id(b), c),
  ...(d % 2 === 0 ? { result: d % 4 === 0 ? null : { r: d, s: 'é' } } : {}),
})
const ackBatch: FrameMaker = (player, _, b, c, d) => {
  const ids = player.some(b)
  const results = d % 2 === 0 ? { results: ids.map((id) => (id % 3 === 0 ? null : [id])) } : {}
  return { cmd: 'ACKB', ...withTokens(player, ids, c), ...results }
}
const ackRun: FrameMaker = (player, _, b, c) => {
  const from = Math.max(0, player.ids.length - 1 - (b % 20))
  return { cmd: 'ACKB', ...withTokens(player, player.ids.slice(from, from + (c % 15)), c) }
}
const fail: FrameMaker = (player, _, b, c, d) => ({
  cmd: 'FAIL',
  ...withToken(player, player.id(b), c),
  ...(d % 3 === 0 ? {} : { error: `error ${d}${d % 4 === 1 ? '\udc00' : ''}` }),
})
const progress: FrameMaker = (player, _, b, c, d) => ({
  cmd: 'PROGRESS',
  ...withToken(player, player.id(b), c),
  progress: d % 140,
  ...(d % 2 === 0 ? { message: `at ${d}` } : {}),
})
const log: FrameMaker = (player, _, b, c, d) => ({
  cmd: 'LOG',
  ...withToken(player, player.id(b), c),
  line: `line ${d}${d % 5 === 0 ? '\ud83d' : ''}`,
})
const heartbeat: FrameMaker = (player, _, b, c, d) => ({
  cmd: 'HEARTBEAT',
  ...(b % 2 === 0 ? withToken(player, player.id(b), c) : withTokens(player, player.some(b), c)),
  ...(d % 2 === 0 ? { lease: MS[d % MS.length] } : {}),
})
const release: FrameMaker = (player, _, b, c) => ({
  cmd: 'RELEASE',
  ...(b % 2 === 0 ? withToken(player, player.id(b), c) : withTokens(player, player.some(b), c)),
})
const byId =
  (cmd: string): FrameMaker =>
  (player, _, b) => ({ cmd, id: player.id(b) })
const deadLetters =
  (cmd: string): FrameMaker =>
  (player, queue, b, c) => ({ cmd, queue, ...(c % 2 === 0 ? {} : { id: player.id(b) }) })
const control =
  (cmd: string): FrameMaker =>
  (_, queue) => ({ cmd, queue })
const deleteQueue: FrameMaker = (_, queue, b) => ({
  cmd: 'DELETEQUEUE',
  queue,
  ...(b % 2 === 0 ? { force: true } : {}),
})
const limit =
  (cmd: string): FrameMaker =>
  (_, queue, b) => ({ cmd, queue, limit: [0, 1, 2, 5, 50][b % 5] })
const cron: FrameMaker = (_, queue, b, c, d) => ({
  cmd: 'CRON',
  name: ['nightly', 'often'][b % 2],
  queue,
  schedule: ['*/1', '*/3', '* * * * * *', 'bad one'][c % 4],
  data: d,
  priority: d % 3,
})
const cronDelete: FrameMaker = (_, __, b) => ({
  cmd: 'CRONDELETE',
  name: ['nightly', 'often'][b % 2],
})
const time: FrameMaker = (_, __, b, c) => ({ cmd: 'time', ms: timeOf(b, c) })
const jump: FrameMaker = (_, __, b, c) => ({ cmd: 'jump', ms: timeOf(b, c) })
const close: FrameMaker = () => ({ cmd: 'close' })
const rename: FrameMaker = (_, __, b) => ({
  cmd: 'rename',
  from: 1 + (b % 3),
  to: 1 + ((b + 1) % 3),
})
const crash: FrameMaker = (_, queue, b, c) => ({
  cmd: 'crash',
  shard: shardOfQueue(queue),
  skipped: b % 3,
  gone: c % 4,
})
const lost: FrameMaker = (_, __, b) => ({ cmd: 'lost', pick: b })
const memory: FrameMaker = (_, __, b) => ({ cmd: 'memory', full: b % 4 === 0 })

function timeOf(b: number, c: number): number {
  return (MS[b % MS.length] as number) + (c % 3)
}

/** As often as they should come. */
const frames: readonly FrameMaker[] = [
  ...many(10, push),
  ...many(4, plainPush),
  ...many(4, pushBatch),
  ...many(8, pull),
  ...many(7, pullBatch),
  ...many(6, ack),
  ...many(2, ackBatch),
  ...many(4, ackRun),
  ...many(9, fail),
  ...many(2, progress),
  ...many(3, log),
  ...many(3, heartbeat),
  ...many(2, release),
  ...many(3, byId('CANCEL')),
  ...many(3, byId('PROMOTE')),
  byId('GETRESULT'),
  byId('GETPROGRESS'),
  ...many(3, deadLetters('RETRYDLQ')),
  deadLetters('PURGEDLQ'),
  control('DRAIN'),
  deleteQueue,
  ...many(2, control('PAUSE')),
  ...many(4, control('RESUME')),
  limit('RATELIMIT'),
  control('RATELIMITCLEAR'),
  limit('SETCONCURRENCY'),
  control('CLEARCONCURRENCY'),
  cron,
  cronDelete,
  ...many(10, time),
  ...many(3, jump),
  ...many(2, close),
  lost,
  ...many(2, crash),
  rename,
  memory,
]

function many(count: number, maker: FrameMaker): FrameMaker[] {
  return new Array<FrameMaker>(count).fill(maker)
}

function another(queue: string): string {
  for (let i = 0; ; i++) if (shardOfQueue(`x${i}`) === shardOfQueue(queue)) return `x${i}`
}

/** The shard's owner dies and a new one begins; one of three connections may be gone too. */
export function crashIn(engine: EngineHarness, frame: Frame): void {
  engine.crash(frame['shard'] as number, {
    skipped: frame['skipped'] as number,
    gone: [frame['gone'] as number],
  })
  engine.advance(0)
}

export function playStep(engine: EngineHarness, player: Player, step: Step): void {
  const frame = player.frame(step)
  const holder = 1 + (step[4] % 3)
  if (frame.cmd === 'time') engine.advance(frame['ms'] as number)
  else if (frame.cmd === 'jump') engine.jump(frame['ms'] as number)
  else if (frame.cmd === 'close') engine.closed(holder)
  else if (frame.cmd === 'crash') crashIn(engine, frame)
  else if (frame.cmd === 'memory') engine.memory.full = frame['full'] as boolean
  else if (frame.cmd === 'rename') {
    for (const shard of engine.shards)
      shard.renameHolder(frame['from'] as number, frame['to'] as number)
  } else if (frame.cmd !== 'lost') {
    const { answer } = engine.start(frame, holder)
    if (answer?.id !== undefined && frame.cmd === 'PUSH') player.ids.push(answer.id)
    if (frame.cmd === 'PUSHB') player.ids.push(...(answer?.ids ?? []))
    for (const job of [...(answer?.jobs ?? []), ...(answer?.job ? [answer.job] : [])]) {
      if (job.token !== undefined) player.tokens.set(job.id, job.token)
    }
  }
}
