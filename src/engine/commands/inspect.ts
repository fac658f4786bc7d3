// GETJOB, GETSTATE, GETRESULT: never an error, whatever the id.

import type { Command } from '../command.ts'
import { seqOfId } from '../job-id.ts'
import { RowFlag, rowOf } from '../job-store.ts'
import type { Reply } from '../ports.ts'
import type { ShardContext } from '../shard-context.ts'

export function getJob(ctx: ShardContext, command: Command, reply: Reply): void {
  const seq = seqOfId(command.id)
  const present = ctx.state.jobs.find(seq) !== undefined
  const shown = present ? seq : -1
  const state = ctx.state.stateName(seq)
  if (command.isFull) reply.jobInFull(ctx.state, shown, state)
  else reply.jobAndState(ctx.state, shown, state)
}

export function getState(ctx: ShardContext, command: Command, reply: Reply): void {
  reply.state(command.id, ctx.state.stateName(seqOfId(command.id)))
}

export function getResult(ctx: ShardContext, command: Command, reply: Reply): void {
  const seq = seqOfId(command.id)
  const page = ctx.state.jobs.find(seq)
  const row = rowOf(seq)
  const results = page?.results
  if (!page || !results || ((page.flags[row] as number) & RowFlag.result) === 0) {
    return reply.result(command.id, null, 0, 0)
  }
  const from = results.from[row] as number
  const bytes = ctx.state.payloads.bytesOf(results.slab[row] as number)
  reply.result(command.id, bytes, from, from + (results.length[row] as number))
}
