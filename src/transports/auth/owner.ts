// Whose share of the streams a client counts for: its token's, or its address's where nobody needs one.

import { anybody, type Principal } from './principal.ts'

export function ownerOf(principal: Principal, address: string | null): string {
  return principal === anybody ? `address ${address ?? 'unix'}` : `token ${principal.name}`
}
