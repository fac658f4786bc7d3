// Which names a Host header may have.
//
// A page whose name is made to point to this machine (DNS rebinding) is of the same origin as the server, for the browser;
// but it is still called by its name. So names are only taken from a list: those of the loopback, `HOST`, and
// `ALLOWED_HOSTS`. An address in digits is always good, because no one can make it point elsewhere. Where tokens are
// needed and no list is set, every name is good: such a page has no token.

import { isIP } from 'node:net'

const LOOPBACK = ['localhost', 'localhost.localdomain', 'ip6-localhost']

export interface HostsConfig {
  readonly host: string
  readonly allowedHosts: readonly string[]
  readonly needsToken: boolean
}

export class AllowedHosts {
  private readonly names: ReadonlySet<string>
  private readonly takesAll: boolean
  /** Clients send the same one again and again. */
  private lastGood: string | null = null

  constructor({ host, allowedHosts, needsToken }: HostsConfig) {
    this.names = new Set([...LOOPBACK, host, ...allowedHosts].map((name) => name.toLowerCase()))
    this.takesAll = needsToken && allowedHosts.length === 0
  }

  /** `header`: name or address, perhaps with a port. */
  has(header: string): boolean {
    if (header === this.lastGood) return true
    const name = nameOf(header)
    if (name === null) return false
    if (!this.takesAll && !this.names.has(name) && isIP(name) === 0) return false
    this.lastGood = header
    return true
  }
}

/** Without port and brackets, in lower case; null: it is no host. */
function nameOf(header: string): string | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]{1,253}))(?::[0-9]{1,5})?$/i.exec(header)
  if (match === null) return null
  if (match[1] !== undefined && isIP(match[1]) !== 6) return null
  return (match[1] ?? match[2] ?? '').replace(/\.$/, '').toLowerCase()
}
