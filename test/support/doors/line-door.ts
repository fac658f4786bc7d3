// The doors that speak lines: TCP and the Unix socket.

import type { NetConnectOpts } from 'node:net'
import { WireClient } from '../wire-client.ts'
import {
  type Command,
  type DoorClient,
  type DoorName,
  type Outcome,
  refused,
} from './door-client.ts'
import { readExact, writeExact } from './exact-json.ts'

export class LineDoor implements DoorClient {
  readonly name: DoorName
  private readonly client: WireClient

  private constructor(name: DoorName, client: WireClient) {
    this.name = name
    this.client = client
  }

  /** With a token that is refused every command has that outcome, as it has on doors without connections. */
  static async open(
    name: DoorName,
    where: NetConnectOpts,
    token: string | null,
  ): Promise<DoorClient> {
    const client = await WireClient.open(where)
    const door = new LineDoor(name, client)
    // As programs do: a server that drains waits for it.
    void client.lines.ended.then(() => client.lines.socket.end())
    if (token === null) return door
    const outcome = await door.run({ cmd: 'AUTH', token })
    return outcome.ok ? door : { name, run: () => Promise.resolve(outcome) }
  }

  async run(command: Command): Promise<Outcome> {
    this.client.send(`${writeExact(command)}\n`)
    const { ok, ...rest } = readExact(await this.client.line()) as Record<string, unknown>
    return ok === true ? { ok, value: rest } : refused(String(rest['code']))
  }
}
