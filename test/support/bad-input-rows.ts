// Tables of bad inputs: each row is sent as it is, has its exact answers, and harms nobody.

import { afterEach, beforeAll, expect, it } from 'vitest'
import type { SharedServer } from './shared-server.ts'
import type { WireClient } from './wire-client.ts'

/** A code and a text. */
export type Refused = readonly [code: string, error: string]
/** What is sent, and for each answer what refuses it, or, when it is accepted, what is in it. */
export type Row = readonly [
  title: string,
  bytes: string | Buffer,
  ...expected: (Refused | object)[],
]

export const invalid = (detail: string): Refused => ['invalid', `Invalid: ${detail}`]
export const notJson = (what: string, at: number): Refused =>
  invalid(`not a JSON object: unexpected ${what} at position ${at}`)
export const badField = (name: string, what: string): Refused =>
  invalid(`field "${name}" must be ${what}`)
export const tooLong = (what: string, max: number): Refused => [
  'limit_exceeded',
  `Limit exceeded: ${what} (max ${max})`,
]

export const PUSHED = { ok: true, id: expect.any(Number) }

/** A push of `data` 1, with `rest` behind it: empty, or beginning with a comma. */
export const pushFrame = (rest: string, queue = '"bad-input"'): string =>
  `{"cmd":"PUSH","queue":${queue},"data":1${rest}}\n`

/** Call it at the top of a file: after each of its tests nobody has died, and nobody has complained. */
export function expectCalm(server: SharedServer): void {
  let pids: number[] = []
  beforeAll(() => {
    pids = server.process.workerPids()
  })
  afterEach(() => {
    expect(server.process.workerPids()).toEqual(pids)
    expect(server.process.log.filter(({ level }) => level === 'error')).toEqual([])
  })
}

/** A test for each row. */
export function testRows(server: SharedServer, ...table: Row[]): void {
  for (const [title, bytes, ...expected] of table) {
    it(title, async () => {
      const bystander = await server.client()
      const client = await server.client()
      client.lines.socket.write(bytes)
      for (const each of expected) {
        const [code, error] = Array.isArray(each) ? (each as unknown as Refused) : []
        const answer = code === undefined ? each : { ok: false, code, error }
        expect(await client.answer()).toMatchObject(answer)
      }
      for (const each of [client, bystander]) await expectService(each)
    })
  }
}

export async function expectService(client: WireClient): Promise<void> {
  const answer = await client.ask({ cmd: 'GETSTATE', id: 4711 })
  expect(answer).toEqual({ ok: true, id: 4711, state: 'unknown' })
}
