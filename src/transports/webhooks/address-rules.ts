// Which addresses a webhook may reach: public ones, and those that the operator lists.
//
// 1. What is not known to be public is not: of IPv6 only 2000::/3 is, without what is reserved in it.
// 2. An IPv4 address in IPv6 dress (::ffff:…) is judged as what it is.

import { BlockList, isIP } from 'node:net'

/** Networks that are somebody's own, or nobody's. */
const CLOSED: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 32],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
]

const MAPPED = /^::ffff:(?:([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i

export interface Network {
  readonly address: string
  readonly prefix: number
}

export class AddressRules {
  private readonly closed = new BlockList()
  private readonly open = new BlockList()
  private readonly global6 = new BlockList()

  constructor(allowed: readonly Network[]) {
    for (const [network, prefix] of CLOSED) addTo(this.closed, network, prefix)
    for (const { address, prefix } of allowed) addTo(this.open, address, prefix)
    this.global6.addSubnet('2000::', 3, 'ipv6')
  }

  /** `address` is an IP address; a zone makes it none. */
  mayReach(address: string): boolean {
    const plain = plainAddress(address)
    const family = familyOf(plain)
    if (family === null) return false
    if (this.open.check(plain, family)) return true
    if (family === 'ipv6' && !this.global6.check(plain, family)) return false
    return !this.closed.check(plain, family)
  }
}

/** IPv4 out of its IPv6 dress. */
export function plainAddress(address: string): string {
  const [, dotted, high, low] = MAPPED.exec(address) ?? []
  if (dotted !== undefined) return dotted
  if (high === undefined || low === undefined) return address
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`
}

function addTo(list: BlockList, network: string, prefix: number): void {
  list.addSubnet(network, prefix, isIP(network) === 4 ? 'ipv4' : 'ipv6')
}

function familyOf(address: string): 'ipv4' | 'ipv6' | null {
  if (address.includes('%')) return null
  const family = isIP(address)
  if (family === 0) return null
  return family === 4 ? 'ipv4' : 'ipv6'
}
