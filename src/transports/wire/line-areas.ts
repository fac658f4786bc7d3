// Places in the kernel's memory where long lines are put together, so that they need not be copied there to be scanned.
//
// 1. There are few, for the connections that send long lines now. One whose tenant has no unfinished line in it goes to
//    the next who asks; when there is none, the line is put together elsewhere, and scanned after a copy.
// 2. A tenant that goes for ever must leave: `Framer.close`.

import { lineArea, linesMax } from './scan-kernel.ts'

export interface Tenant {
  /** Leaves the area at once and says true, unless it holds an unfinished line. */
  vacate(): boolean
}

const areas = Array.from({ length: linesMax }, (_, n) => lineArea(n))
const tenants: (Tenant | null)[] = areas.map(() => null)
/** Where to look first: behind the area that was given away last. */
let next = 0

/** An area for `tenant`, or null. */
export function rentArea(tenant: Tenant): Buffer | null {
  for (let tried = 0; tried < linesMax; tried++) {
    const n = (next + tried) % linesMax
    const present = tenants[n] ?? null
    if (present !== null && !present.vacate()) continue
    tenants[n] = tenant
    next = (n + 1) % linesMax
    return areas[n] as Buffer
  }
  return null
}

/** The tenant of `area` needs it no more. */
export function leaveArea(area: Buffer): void {
  tenants[areas.indexOf(area)] = null
}

export function isArea(bytes: Buffer): boolean {
  return areas.includes(bytes)
}
