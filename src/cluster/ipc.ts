// What the primary and its workers say to each other, over the channel of `node:cluster`.
//
//   worker                              primary
//     linked ────────────────────────────▶        my link socket is up
//     ◀──────────────────────────── table         the whole state, again at each change
//     applied ───────────────────────────▶        so at most one table is on its way to a worker
//     ◀───────────────────────────── open         every worker is linked: bind the listeners
//     opened | failed ───────────────────▶
//     reserve, released, load ───────────▶
//     serving ───────────────────────────▶        these shards are recovered (with a database)
//     ◀──────────────────────────── lease         nobody else takes this node's shards until then
//     move + socket ─────────────────────▶        this connection goes to another worker (moves.ts)
//     ◀──────────────────── adopt + socket        here it is
//     adopted ───────────────────────────▶        I have it
//     ◀──────── release, wake, evacuate, drain, exit
//     stop ──────────────────────────────▶        somebody asks for the end of the node
//     evacuated, drained ────────────────▶
//
// 1. Messages are small and rare, and state is sent whole: a message that is skipped because a newer one
//    exists loses nothing. (`worker.send` to a stopped process buffers without bound.)
// 2. Whatever arrives is read by `readToWorker` or `readToPrimary`, which refuse what is not a message.

import type { ShardId } from '../engine/job-id.ts'
import type { DoorPorts } from '../engine/ports.ts'
import type { Grant } from './shard-table.ts'

export interface TableMessage {
  readonly kind: 'table'
  readonly version: number
  /** Worker index per shard, or -1. */
  readonly owners: readonly number[]
  readonly epochs: readonly number[]
  /** Incarnation per worker index; 0 = not alive. */
  readonly incarnations: readonly number[]
  /** For each shard that the receiver owns. */
  readonly grants: readonly Grant[]
}

/** Comes with the socket of a connection, which goes to the worker `to`. */
export interface MoveMessage {
  readonly kind: 'move'
  readonly to: number
  /** Its session. */
  readonly holder: number
}

export type ToWorker =
  | TableMessage
  | { readonly kind: 'open'; readonly ports: DoorPorts }
  /** Let go of up to so many empty shards. */
  | { readonly kind: 'release'; readonly count: number }
  /** Comes with the socket of a connection whose session was `holder` at another worker. */
  | { readonly kind: 'adopt'; readonly holder: number }
  /** Take no more connections, and move those that are there to the other workers. */
  | { readonly kind: 'evacuate' }
  /** Until when, on the system's monotonic clock in ms, no other node can take shards of this one. */
  | { readonly kind: 'lease'; readonly untilMs: number }
  /** Another node may have let shards go. */
  | { readonly kind: 'wake' }
  | { readonly kind: 'drain' }
  | { readonly kind: 'exit' }

export type ToPrimary =
  | { readonly kind: 'linked' }
  | { readonly kind: 'applied'; readonly version: number }
  /** `ports`: where it really listens. */
  | { readonly kind: 'opened'; readonly ports: DoorPorts }
  /** It could not open its listeners, and will not. */
  | { readonly kind: 'failed'; readonly text: string }
  | { readonly kind: 'reserve'; readonly shard: ShardId }
  | { readonly kind: 'released'; readonly shards: readonly ShardId[] }
  | { readonly kind: 'serving'; readonly shards: readonly ShardId[] }
  | MoveMessage
  | { readonly kind: 'adopted'; readonly holder: number }
  | { readonly kind: 'load'; readonly jobs: number }
  /** No connection is left, and none will come. */
  | { readonly kind: 'evacuated' }
  | { readonly kind: 'drained' }
  /** The node is to end; `restart`: in a way that asks for a new start. */
  | { readonly kind: 'stop'; readonly restart: boolean }

export function readToWorker(message: unknown): ToWorker | null {
  if (!isRecord(message)) return null
  switch (message['kind']) {
    case 'table':
      return isTable(message) ? (message as unknown as TableMessage) : null
    case 'open':
      return isPorts(message['ports']) ? { kind: 'open', ports: message['ports'] } : null
    case 'release':
      return isCount(message['count']) ? { kind: 'release', count: message['count'] } : null
    case 'adopt':
      return isCount(message['holder']) ? { kind: 'adopt', holder: message['holder'] } : null
    case 'evacuate':
      return { kind: 'evacuate' }
    case 'lease':
      return isCount(message['untilMs']) ? { kind: 'lease', untilMs: message['untilMs'] } : null
    case 'wake':
      return { kind: 'wake' }
    case 'drain':
      return { kind: 'drain' }
    case 'exit':
      return { kind: 'exit' }
    default:
      return null
  }
}

export function readToPrimary(message: unknown): ToPrimary | null {
  if (!isRecord(message)) return null
  const { kind, version, ports, text, shard, shards, jobs, to, holder, restart } = message
  switch (kind) {
    case 'linked':
    case 'evacuated':
    case 'drained':
      return { kind }
    case 'stop':
      return typeof restart === 'boolean' ? { kind, restart } : null
    case 'applied':
      return isCount(version) ? { kind, version } : null
    case 'opened':
      return isPorts(ports) ? { kind, ports } : null
    case 'failed':
      return typeof text === 'string' ? { kind, text } : null
    case 'reserve':
      return isCount(shard) ? { kind, shard } : null
    case 'released':
    case 'serving':
      return isList(shards, isCount) ? { kind, shards } : null
    case 'move':
      return isCount(to) && isCount(holder) ? { kind, to, holder } : null
    case 'adopted':
      return isCount(holder) ? { kind, holder } : null
    case 'load':
      return isCount(jobs) ? { kind, jobs } : null
    default:
      return null
  }
}

function isTable(message: Record<string, unknown>): boolean {
  return (
    isCount(message['version']) &&
    isList(message['owners'], Number.isInteger) &&
    isList(message['epochs'], isCount) &&
    isList(message['incarnations'], isCount) &&
    isList(message['grants'], isGrant)
  )
}

function isGrant(value: unknown): boolean {
  return (
    isRecord(value) &&
    isCount(value['shard']) &&
    isCount(value['firstSeq']) &&
    isCount(value['reservedTo'])
  )
}

function isPorts(value: unknown): value is DoorPorts {
  if (!isRecord(value)) return false
  const { tcp, http, grpc } = value
  return isCount(tcp) && (http === null || isCount(http)) && (grpc === null || isCount(grpc))
}

function isList(value: unknown, isItem: (item: unknown) => boolean): value is number[] {
  return Array.isArray(value) && value.every(isItem)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
