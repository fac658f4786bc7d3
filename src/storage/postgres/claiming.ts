// Taking shards: the epoch rises, and whoever had them before can write no more.
//
//   lock the rows ──▶ judge again, take ──▶ commit ──▶ end what the previous owners left
//        └─ somebody holds one: end the sessions of whom they are taken from, again
//
// 1. Only what nobody else may hold is taken (`statements.ts`). Liveness is a matter of time, by PostgreSQL's clock;
//    safety is the epoch, which needs no clock.
// 2. A previous owner that hangs in a transaction holds the lock of its row: its sessions are ended. It would be
//    fenced all the same. Owners from whom nothing may be taken are left alone.
// 3. Rows are locked in order of shard, so two takers never wait for each other.
//
// Neighbours: `postgres-storage.ts` calls it.

import { type Claim, StorageFault } from '../../engine/storage-port.ts'
import type { Connection, Session } from './connection.ts'
import type { Statements } from './statements.ts'

export interface Taker {
  /** Of the primary; the worker's node. */
  readonly node: string
  /** Of the worker process. */
  readonly owner: string
}

export interface Taken extends Claim {
  /** The previous owner was a worker of another node, or of an earlier life of this one. */
  readonly foreign: boolean
}

/** A session that waits holds nothing of value to a taker: short, so that a hung owner costs little time. */
const LOCK_TIMEOUT_MS = 500
const ATTEMPTS_MAX = 6

export function applicationName(id: string): string {
  return `flashq:${id}`
}

export async function claimShards(
  connection: Connection,
  statements: Statements,
  taker: Taker,
  shards: readonly number[],
): Promise<readonly Taken[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      const rows = await connection.transaction((session) =>
        take(session, statements, taker, shards),
      )
      await endSessions(connection, statements, taker, previousOwners(rows))
      return rows.map((row) => ({
        shard: row.shard,
        epoch: row.epoch,
        foreign: row.previous_node !== null && row.previous_node !== taker.node,
      }))
    } catch (error) {
      const isLocked = error instanceof StorageFault && error.code === '55P03'
      if (!isLocked || attempt === ATTEMPTS_MAX) throw error
      const owners = await claimableOwners(connection, statements, taker, shards)
      await endSessions(connection, statements, taker, owners)
    }
  }
}

interface Row {
  shard: number
  epoch: number
  previous_node: string | null
  previous_owner: string | null
}

async function take(
  session: Session,
  statements: Statements,
  { node, owner }: Taker,
  shards: readonly number[],
): Promise<readonly Row[]> {
  await session.query({ name: '', text: `set local lock_timeout = ${LOCK_TIMEOUT_MS}` })
  const locked = await session.query<{ shard: number }>(statements.lockClaimable, [shards, node])
  // Only what is locked: a shard that became free a moment ago might be locked by somebody else, out of order.
  const mine = locked.rows.map((row) => row.shard)
  const { rows } = await session.query<Row>(statements.claim, [mine, node, owner])
  return rows
}

function previousOwners(rows: readonly Row[]): readonly string[] {
  return rows.flatMap(({ previous_owner: owner }) => (owner === null ? [] : [owner]))
}

async function claimableOwners(
  connection: Connection,
  statements: Statements,
  { node }: Taker,
  shards: readonly number[],
): Promise<readonly string[]> {
  const { rows } = await connection.query<{ owner: string }>(statements.claimableOwners, [
    shards,
    node,
  ])
  return rows.map((row) => row.owner)
}

async function endSessions(
  connection: Connection,
  statements: Statements,
  taker: Taker,
  owners: readonly string[],
): Promise<void> {
  if (owners.length === 0) return
  const names = [...new Set(owners)].map(applicationName)
  await connection.query(statements.endSessions, [names, applicationName(taker.owner)])
}
