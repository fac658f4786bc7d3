// The statements of ownership and journal, for one schema; `docs/adr/0007-fencing.md` says why each part is there.
//
// 1. Whatever writes for a shard names owner and epoch in the same statement, and takes the lock of the shard's row:
//    a takeover waits for an append under way, and an append that comes after it finds nothing to write for.
// 2. Tables are named with their schema and, where there are partitions, as the partition.
//
// Neighbours: `claiming.ts` and `postgres-storage.ts` run them; `schema/0001-journal.ts` makes the tables.

import type { Statement } from './connection.ts'
import { quoteIdentifier } from './schema/identifier.ts'

const SIDES = 2

export class Statements {
  readonly lockClaimable: Statement
  readonly claim: Statement
  readonly claimableOwners: Statement
  readonly release: Statement
  readonly reserve: Statement
  readonly endSessions: Statement
  private readonly schema: string
  private readonly appends: (Statement | undefined)[] = []

  constructor(schemaName: string) {
    const schema = quoteIdentifier(schemaName)
    this.schema = schema

    // Shards whose owner has gone, gave up, is of this node, or is of a node whose lease is over. A subquery, not a
    // join: when the row has changed while this waited for its lock, a subquery is asked again for the new node.
    const claimable = `s.shard = any($1::int[]) and (s.owner is null or s.node = $2 or coalesce(
      (select n.expires_at from ${schema}.node n where n.node = s.node), '-infinity') < clock_timestamp())`
    this.lockClaimable = {
      name: 'lock_claimable',
      text: `select s.shard from ${schema}.shard s where ${claimable} order by s.shard for update`,
    }
    this.claimableOwners = {
      name: '',
      text: `select distinct s.owner from ${schema}.shard s where ${claimable} and s.owner is not null`,
    }
    // Judged anew: this statement sees what was committed while the one before waited.
    this.claim = {
      name: 'claim',
      text: `with before as (select s.shard, s.node, s.owner from ${schema}.shard s where ${claimable})
update ${schema}.shard s set node = $2, owner = $3, epoch = s.epoch + 1 from before
 where s.shard = before.shard
returning s.shard, s.epoch, before.node as previous_node, before.owner as previous_owner`,
    }
    this.release = {
      name: 'release',
      text: `update ${schema}.shard set owner = null where shard = $1 and owner = $2 and epoch = $3`,
    }
    this.reserve = {
      name: 'reserve',
      text: `update ${schema}.shard set reserved_to = greatest(reserved_to, $4)
 where shard = $1 and owner = $2 and epoch = $3 returning shard`,
    }
    // Ours to end: of this database and this role, and never our own ($2).
    this.endSessions = {
      name: 'end_sessions',
      text: `select pg_terminate_backend(pid) from pg_stat_activity
 where application_name = any($1::text[]) and application_name <> $2
   and datname = current_database() and usename = current_user and pid <> pg_backend_pid()`,
    }
  }

  /**
   * $1 shard, $2 owner, $3 epoch, $4 position, $5 count, $6 records. It answers:
   *   owned        whether the claim is the newest one; if not, nothing has happened
   *   preceded     whether the batch before this one is stored; if not, nothing has happened
   *   inserted     whether this call stored the batch
   *   stored_epoch of the batch that was there before this call
   */
  append(shard: number, side: number): Statement {
    const slot = shard * SIDES + side
    let statement = this.appends[slot]
    if (statement === undefined) {
      statement = { name: `append_${slot}`, text: this.appendText(slot) }
      this.appends[slot] = statement
    }
    return statement
  }

  /**
   * One text each, in this order, in one transaction. Whoever appends locks the table before the row, too.
   *   lock      nobody reads or writes the side of the journal from now on
   *   covered   one row when the claim is the newest one and everything in it is covered by a checkpoint
   *   truncate
   */
  emptying(
    shard: number,
    side: number,
  ): {
    readonly lock: Statement
    readonly covered: Statement
    readonly truncate: Statement
  } {
    const journal = `${this.schema}.journal_${shard * SIDES + side}`
    return {
      lock: { name: '', text: `lock table ${journal} in access exclusive mode` },
      covered: {
        name: '',
        text: `select from ${this.schema}.shard where shard = $1 and owner = $2 and epoch = $3
   and covered >= coalesce((select max(position) from ${journal}), 0) for update`,
      },
      truncate: { name: '', text: `truncate ${journal}` },
    }
  }

  private appendText(slot: number): string {
    const here = `${this.schema}.journal_${slot}`
    const other = `${this.schema}.journal_${slot ^ 1}`
    return `with owner as (
  select covered from ${this.schema}.shard where shard = $1 and owner = $2 and epoch = $3 for update
), preceding as (
  select from owner where covered >= $4::bigint - 1
    or exists (select from ${here} where slot = ${slot} and position = $4::bigint - 1)
    or exists (select from ${other} where slot = ${slot ^ 1} and position = $4::bigint - 1)
), inserting as (
  insert into ${here} (slot, position, epoch, count, records)
  select ${slot}, $4, $3, $5, $6 from preceding on conflict (slot, position) do nothing returning 1
)
select exists (select from owner) as owned, exists (select from preceding) as preceded,
  exists (select from inserting) as inserted,
  (select epoch from ${here} where slot = ${slot} and position = $4) as stored_epoch`
  }
}
