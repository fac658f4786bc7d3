// Requests that each bring their token, on connections that may carry those of several: HTTP and gRPC.
//
// A connection counts for the token that it showed last: one of a proxy is one connection, whoever is behind it.

import type { Refusal } from '../../engine/refusal.ts'
import { anybody, type Principal } from './principal.ts'
import type { Usage } from './usage.ts'

export class Admission<Connection> {
  private readonly usage: Usage
  /** Of the connections that are open: whose each is; null: it has shown no token yet. */
  private readonly holders = new Map<Connection, Principal | null>()

  constructor(usage: Usage) {
    this.usage = usage
  }

  /** False: it was open already, and nothing has changed. */
  opened(connection: Connection): boolean {
    if (this.holders.has(connection)) return false
    this.holders.set(connection, null)
    return true
  }

  closed(connection: Connection): void {
    const holder = this.holders.get(connection) ?? null
    this.holders.delete(connection)
    if (holder !== null) this.usage.connected(holder, -1)
  }

  /** Why a request of so many bytes is refused; null: it is counted. */
  admit(connection: Connection, principal: Principal, bytes: number): Refusal | null {
    if (principal === anybody) return null
    const refusal = this.hold(connection, principal)
    return refusal ?? this.usage.rateOf(principal)?.spend(bytes) ?? null
  }

  /** What comes behind a request that was admitted. */
  charge(principal: Principal, commands: number, bytes: number): void {
    if (principal.quota !== undefined) this.usage.rateOf(principal)?.charge(commands, bytes)
  }

  private hold(connection: Connection, principal: Principal): Refusal | null {
    const holder = this.holders.get(connection)
    if (holder === undefined || holder === principal) return null
    const refusal = this.usage.connectionRefused(principal)
    if (refusal !== null) return refusal
    if (holder !== null) this.usage.connected(holder, -1)
    this.usage.connected(principal, 1)
    this.holders.set(connection, principal)
    return null
  }
}
