// CPU time and memory of a process and all its descendants, from /proc. Linux only; elsewhere the figures are absent.
//
// CPU of descendants that ended between two readings is lost; servers under test do not end workers in the middle of a slice.

import { readdirSync, readFileSync } from 'node:fs'

export interface Usage {
  cpuMs: number
  rssBytes: number
}

/** Linux reports process times in this unit to every program (USER_HZ). */
const ticksPerSecond = 100

export function usageOf(pid: number): Usage | undefined {
  try {
    const usage = { cpuMs: 0, rssBytes: 0 }
    for (const one of withDescendants(pid)) addUsage(one, usage)
    return usage
  } catch {
    return undefined
  }
}

function addUsage(pid: number, into: Usage): void {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The command name may hold spaces; the fields are counted from behind its closing bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const utimeAt = 11
  into.cpuMs += ((Number(fields[utimeAt]) + Number(fields[utimeAt + 1])) * 1000) / ticksPerSecond
  const rss = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  into.rssBytes += Number(rss?.[1] ?? 0) * 1024
}

function withDescendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number),
  )
  return [pid, ...children.flatMap(withDescendants)]
}
