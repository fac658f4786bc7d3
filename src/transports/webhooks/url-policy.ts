// Which URLs a webhook may have, and which addresses their names may lead to.
//
//   text ──refuse──▶ canonical URL ──▶ scheme, port, no credentials ──▶ an address, as it is ──▶ may it be reached?
//                                                                  └──▶ a name: its addresses, at each attempt
//
// 1. The parser folds every spelling of an address into one, so only what it made of the text is judged.
// 2. A name is good when every address of it is; connections go to one of those that were judged (attempt.ts).
// 3. This server's own listeners are never reached, whatever is allowed.

import { isIP } from 'node:net'
import { type AddressRules, plainAddress } from './address-rules.ts'

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'https:': 443, 'http:': 80 }

export interface UrlPolicyOptions {
  readonly rules: AddressRules
  /** Without it only https. */
  readonly allowHttp: boolean
  /** Besides 443 and 80. */
  readonly ports: readonly number[]
  /** Of this host's interfaces. */
  localAddresses(): readonly string[]
}

export class UrlPolicy {
  /** Where this server listens itself. */
  ownPorts: readonly number[] = []
  private readonly options: UrlPolicyOptions
  private readonly ports: ReadonlySet<number>

  constructor(options: UrlPolicyOptions) {
    this.options = options
    this.ports = new Set([443, 80, ...options.ports])
  }

  /** Why it may never be asked, or null. A name is not looked up. */
  refuse(text: string): string | null {
    // Left to the parser, some of these would vanish without a trace.
    if (!/^[\x21-\x7e]+$/.test(text)) return 'its URL has blanks, control or non-ASCII characters'
    if (/[\\#]/.test(text)) return 'its URL has a \\ or a fragment'
    if (!URL.canParse(text)) return 'its URL is none'
    const url = new URL(text)
    const isHttp = url.protocol === 'http:'
    if (url.protocol !== 'https:' && !isHttp) return 'its URL is not https'
    if (isHttp && !this.options.allowHttp) return 'its URL is not https (WEBHOOK_HTTP allows http)'
    if (url.username !== '' || url.password !== '') return 'its URL has credentials'
    if (!this.ports.has(portOf(url))) return 'its port is not allowed (WEBHOOK_PORTS)'
    const host = hostOf(url)
    return isIP(host) === 0 ? null : this.refuseAddresses(url, [host])
  }

  /** The same of the addresses of its name. */
  refuseAddresses(url: URL, addresses: readonly string[]): string | null {
    if (addresses.length === 0) return 'its name has no address'
    for (const address of addresses) {
      if (!this.options.rules.mayReach(address)) return 'its address is not public (WEBHOOK_ALLOW)'
      if (this.isOwn(address, portOf(url))) return 'its address is this server'
    }
    return null
  }

  private isOwn(address: string, port: number): boolean {
    if (!this.ownPorts.includes(port)) return false
    const plain = plainAddress(address)
    if (/^(?:127\.|0\.)/.test(plain) || plain === '::1' || plain === '::') return true
    return this.options.localAddresses().includes(plain)
  }
}

export function portOf(url: URL): number {
  return url.port === '' ? (DEFAULT_PORTS[url.protocol] ?? 0) : Number(url.port)
}

/** Without the brackets of an IPv6 address. */
export function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}
