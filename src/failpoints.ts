// Where tests make a worker die, wait or fail at a chosen moment. Never loaded elsewhere: `server.ts` imports it
// only when NODE_ENV is `test` and FLASHQ_FAILPOINTS is set, and wraps ports with it. The code that serves knows
// nothing of it, so it costs nothing there.
//
//   FLASHQ_FAILPOINTS="flush.after_commit#5@2=kill,claim.before=pause:500"
//                      point             │ │  action[:argument]
//                              in shard ─┘ └─ the n-th time (default: the first)
//
//   kill         SIGKILL to itself
//   pause:ms     the whole process stands still
//   fault:CODE   a retryable StorageFault: at `.before` nothing was done, at `.after` all was, and its answer is lost
//
// A batch of records passes  push.received  flush.before  flush.sent  flush.after  (then replies leave).
//
// 1. Each point strikes once per FLASHQ_FAILPOINTS_DIR, whatever processes come and go: a file there says that it
//    has, before it does. So a worker that is started again lives, and the test knows when it happened.
// 2. Nothing strikes, and nothing is counted, until a file `armed` is in that folder.
// 3. `recover.at_30` is when 30 % of a shard's rows and batches are in. It reads the shard twice, to know how many.

import { closeSync, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from './engine/command.ts'
import { opNames } from './engine/op.ts'
import type { Reply, WireCodec } from './engine/ports.ts'
import {
  type Claim,
  type Loaded,
  type ShardReader,
  type Storage,
  StorageFault,
} from './engine/storage-port.ts'

type Action = 'kill' | 'pause' | 'fault'

export interface Failpoint {
  readonly point: string
  /** Null: in any. */
  readonly shard: number | null
  readonly nth: number
  readonly action: Action
  readonly argument: string
}

const FAILPOINT = /^([a-z]+\.[a-z]+(?:_\d+)?)(?:#(\d+))?(?:@(\d+))?=(kill|pause|fault)(?::(\w+))?$/
export const ARMED_FILE = 'armed'
const RECOVER_PERCENTS = [10, 30, 60, 90]

export function parseFailpoints(text: string): Failpoint[] {
  return text.split(',').map((each) => {
    const found = FAILPOINT.exec(each.trim())
    if (found === null) throw new Error(`not a failpoint: ${each}`)
    const [, point = '', shard, nth = '1', action, argument = ''] = found
    const inShard = shard === undefined ? null : Number(shard)
    return { point, shard: inShard, nth: Number(nth), action: action as Action, argument }
  })
}

export class Failpoints {
  private readonly points: readonly Failpoint[]
  private readonly counts = new Map<Failpoint, number>()
  private readonly folder: string
  private readonly die: () => void

  constructor(points: readonly Failpoint[], folder: string, die = killSelf) {
    this.points = points
    this.folder = folder
    this.die = die
  }

  /** True when one of these may still strike here. */
  has(prefix: string): boolean {
    return this.points.some(({ point }) => point.startsWith(prefix))
  }

  /** Strikes if it is time. Null: nothing, or nothing that the caller must do. */
  hit(point: string, shard: number | null): Failpoint | null {
    for (const each of this.points) {
      if (each.point !== point || (each.shard !== null && each.shard !== shard)) continue
      if (!existsSync(join(this.folder, ARMED_FILE))) continue
      const count = (this.counts.get(each) ?? 0) + 1
      this.counts.set(each, count)
      if (count !== each.nth || !this.isFirst(each)) continue
      if (each.action === 'kill') this.die()
      else if (each.action === 'pause') standStill(Number(each.argument))
      else return each
    }
    return null
  }

  private isFirst({ point, shard, nth }: Failpoint): boolean {
    try {
      closeSync(openSync(join(this.folder, failpointFile(point, shard, nth)), 'wx'))
      return true
    } catch {
      return false
    }
  }
}

/** The file that says that it has struck. */
export function failpointFile(point: string, shard: number | null = null, nth = 1): string {
  return `${point}${shard === null ? '' : `#${shard}`}@${nth}`
}

/** What the composition root puts around its parts. */
export interface Guards {
  storage(storage: Storage): Storage
  codec(codec: WireCodec): WireCodec
}

export function guardsFrom(env: NodeJS.ProcessEnv): Guards {
  const folder = env['FLASHQ_FAILPOINTS_DIR']
  if (folder === undefined) throw new Error('FLASHQ_FAILPOINTS needs FLASHQ_FAILPOINTS_DIR')
  const points = new Failpoints(parseFailpoints(env['FLASHQ_FAILPOINTS'] ?? ''), folder)
  return {
    storage: (storage) => storageWithFailpoints(storage, points),
    codec: (codec) => codecWithFailpoints(codec, points),
  }
}

/**
 * The same storage, with points at each call: `flush`, `reserve`, `claim`, `release`, `checkpoint` or `empty`, and
 * `.before`, `.sent` (it has left this process, most likely) or `.after`.
 */
export function storageWithFailpoints(storage: Storage, points: Failpoints): Storage {
  const around = async <T>(name: string, shard: number | null, call: () => Promise<T>) => {
    fail(points.hit(`${name}.before`, shard))
    const done = call()
    if (points.has(`${name}.sent`)) {
      done.catch(noop)
      await nextTurn()
      points.hit(`${name}.sent`, shard)
    }
    const result = await done
    fail(points.hit(`${name}.after`, shard))
    return result
  }
  return {
    start: () => storage.start(),
    stop: () => storage.stop(),
    claim: (shards) => around('claim', null, () => storage.claim(shards)),
    release: (claim) => around('release', claim.shard, () => storage.release(claim)),
    load: (claim, into) => load(storage, claim, into, points),
    append: (claim, batch) => around('flush', claim.shard, () => storage.append(claim, batch)),
    reserve: (claim, to) => around('reserve', claim.shard, () => storage.reserve(claim, to)),
    checkpoint: (claim, covered) =>
      around('checkpoint', claim.shard, () => storage.checkpoint(claim, covered)),
    emptySide: (claim, side) => around('empty', claim.shard, () => storage.emptySide(claim, side)),
  }
}

/** The same codec, with `push.received` and the like when a frame was read, `pull.reply` before its jobs are written. */
export function codecWithFailpoints(codec: WireCodec, points: Failpoints): WireCodec {
  return {
    peek: (bytes, from, to, into) => codec.peek(bytes, from, to, into),
    scan: (bytes, from, to, into) => {
      const refusal = codec.scan(bytes, from, to, into)
      if (refusal === null) points.hit(`${opNames[into.op]?.toLowerCase()}.received`, null)
      return refusal
    },
    listed: (out, source, seq) => codec.listed(out, source, seq),
    reply: (command, slot) => replyWithFailpoints(codec.reply(command, slot), command, points),
  }
}

function replyWithFailpoints(reply: Reply, command: Command, points: Failpoints): Reply {
  const point = `${opNames[command.op]?.toLowerCase()}.reply`
  if (!points.has(point)) return reply
  return new Proxy(reply, {
    get(target, name) {
      const method = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      return (...args: unknown[]) => {
        points.hit(point, null)
        return method.apply(target, args)
      }
    },
  })
}

async function load(
  storage: Storage,
  claim: Claim,
  into: ShardReader,
  points: Failpoints,
): Promise<Loaded> {
  if (!points.has('recover.')) return storage.load(claim, into)
  let total = 0
  const count = (): void => void total++
  const counter = { meta: noop, job: count, checkpointEnded: noop, batch: count }
  await storage.load(claim, counter)
  let done = 0
  const step = (): void => {
    done++
    for (const percent of RECOVER_PERCENTS) {
      if (done === Math.ceil((total * percent) / 100)) {
        points.hit(`recover.at_${percent}`, claim.shard)
      }
    }
  }
  return storage.load(claim, {
    meta: (bytes) => into.meta(bytes),
    job: (row) => {
      into.job(row)
      step()
    },
    checkpointEnded: () => into.checkpointEnded(),
    batch: (bytes) => {
      into.batch(bytes)
      step()
    },
  })
}

function fail(struck: Failpoint | null): void {
  if (struck === null) return
  throw new StorageFault(struck.argument || 'failpoint', `failpoint ${struck.point}`, true)
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function noop(): void {}

function killSelf(): void {
  process.kill(process.pid, 'SIGKILL')
}

function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
