// Which process a node row belongs to, told so exactly that another one on the same machine can see it is gone.
//
// A lease may be ended early only when its holder cannot come back. A process id alone does not tell: it is given out
// again, means something else in another container, and host names repeat. So a process is its host name, the
// machine's boot, the namespace of its ids, its id, and when it was started. Where one of these cannot be known
// (other systems than Linux, a hidden /proc), nothing is said, and the lease runs out by itself.
//
// Neighbours: `membership.ts` writes it into its row, and reads those of others.

import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

export interface ProcessIdentity {
  readonly host: string
  readonly pid: number
  /** `<boot>/<namespace of process ids>/<start, in ticks>`; '' = not known. */
  readonly process: string
}

export function ownIdentity(): ProcessIdentity {
  const { pid } = process
  return { host: hostname(), pid, process: processOf(pid) }
}

/** True only when it is certain that the process has ended. */
export function isGone(other: ProcessIdentity, own: ProcessIdentity): boolean {
  if (own.process === '' || other.process === '' || other.host !== own.host) return false
  if (realmOf(other) !== realmOf(own)) return false
  if (!isThere(other.pid)) return true
  const stat = statOf(other.pid)
  // A zombie has ended, although its parent has not asked yet.
  return stat !== null && (stat.state === 'Z' || !other.process.endsWith(`/${stat.start}`))
}

function processOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const namespace = readlinkSync('/proc/self/ns/pid')
    const stat = statOf(pid)
    return boot === '' || stat === null ? '' : `${boot}/${namespace}/${stat.start}`
  } catch {
    return ''
  }
}

/** The boot and the namespace: within one, a process id means one process at a time. */
function realmOf(identity: ProcessIdentity): string {
  return identity.process.slice(0, identity.process.lastIndexOf('/'))
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Of somebody else, it is there all the same.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

interface Stat {
  readonly state: string
  readonly start: string
}

/** proc(5): `pid (name) state … starttime …`; the name may have spaces and parentheses in it. */
function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [state] = fields
    const start = fields[19]
    return state === undefined || start === undefined ? null : { state, start }
  } catch {
    return null
  }
}
