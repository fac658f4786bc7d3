// Connections that have not said who they are, by client: of each client there may be so many.
//
// A connection counts until its AUTH or its end; with TLS also while it shakes hands.

import { clientOf } from '../auth/client-address.ts'

export class Strangers {
  private readonly perClientMax: number
  private readonly clients = new Map<object, string>()
  private readonly counts = new Map<string, number>()

  constructor(perClientMax: number) {
    this.perClientMax = perClientMax
  }

  /** False: its client has too many. `address` null: a Unix socket, which has no address to be counted by. */
  add(stranger: object, address: string | null): boolean {
    if (address === null) return true
    const client = clientOf(address)
    const count = this.counts.get(client) ?? 0
    if (count >= this.perClientMax) return false
    this.clients.set(stranger, client)
    this.counts.set(client, count + 1)
    return true
  }

  /** It is known, or gone; may be said twice. */
  remove(stranger: object): void {
    const client = this.clients.get(stranger)
    if (client === undefined) return
    this.clients.delete(stranger)
    const count = (this.counts.get(client) ?? 0) - 1
    if (count > 0) this.counts.set(client, count)
    else this.counts.delete(client)
  }
}
