// One way to give the same command at every door, and to compare what comes back.
//
// A command is written as on the wire (`cmd` and its fields; payloads as `ExactJson`), an outcome is what the wire would
// answer: its fields, payloads as their text, or the code of the refusal. Each door translates, and checks that its own
// ways of saying it fit: the status of HTTP, the status of gRPC.

import type { OpName } from '../../../src/engine/op.ts'

export interface Command {
  readonly cmd: OpName
  readonly [field: string]: unknown
}

export interface Done {
  readonly ok: true
  readonly value: Readonly<Record<string, unknown>>
}

export interface Refused {
  readonly ok: false
  readonly code: string
}

export type Outcome = Done | Refused

export const doorNames = ['TCP', 'Unix', 'HTTP', 'gRPC'] as const
export type DoorName = (typeof doorNames)[number]

export interface DoorClient {
  readonly name: DoorName
  run(command: Command): Promise<Outcome>
}

export const done = (value: object = {}): Done => ({ ok: true, value: { ...value } })
export const refused = (code: string): Refused => ({ ok: false, code })

/** The fields of an answer that must not be a refusal. */
export async function answerOf(
  door: DoorClient,
  command: Command,
): Promise<Readonly<Record<string, unknown>>> {
  const outcome = await door.run(command)
  if (!outcome.ok) throw new Error(`${door.name} refused ${command.cmd}: ${outcome.code}`)
  return outcome.value
}

export async function push(door: DoorClient, queue: string, fields: object = {}): Promise<number> {
  const { id } = await answerOf(door, { cmd: 'PUSH', queue, data: 1, ...fields })
  return id as number
}

export interface PulledJob {
  readonly id: number
  readonly data: string
  readonly token?: number
  readonly [field: string]: unknown
}

/** A job if there is one right now. */
export async function pull(
  door: DoorClient,
  queue: string,
  fields: object = {},
): Promise<PulledJob | null> {
  const { job } = await answerOf(door, { cmd: 'PULL', queue, wait: 0, ...fields })
  return job as PulledJob | null
}

export async function stateOf(door: DoorClient, id: number): Promise<unknown> {
  return (await answerOf(door, { cmd: 'GETSTATE', id }))['state']
}
