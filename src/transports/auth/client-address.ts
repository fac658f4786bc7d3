// Whose an address is, for counting: an IPv4 address is one client's, of IPv6 every client has a /64.

import { isIPv6 } from 'node:net'

const MAPPED = '::ffff:'
const GROUPS = 8
const GROUPS_OF_CLIENT = 4

export function clientOf(address: string): string {
  if (address.startsWith(MAPPED) && address.includes('.')) return address.slice(MAPPED.length)
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const groups = groupsOf(head)
  if (tail !== undefined) {
    const behind = groupsOf(tail)
    while (groups.length + behind.length < GROUPS) groups.push('0')
    groups.push(...behind)
  }
  return `${groups.slice(0, GROUPS_OF_CLIENT).join(':')}::/64`
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':')
}
