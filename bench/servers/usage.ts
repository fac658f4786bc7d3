// CPU time and memory of a process and all its descendants, from /proc. Linux only; elsewhere the figures are absent.
//
// A child that has ended and was waited for is in the figures of its parent, so its CPU is not lost.

import { readdirSync, readFileSync } from 'node:fs'

export interface Usage {
  cpuMs: number
  rssBytes: number
}

/** Linux reports process times in this unit to every program (USER_HZ). */
const ticksPerSecond = 100
const utimeAt = 11

/** A process may end while its figures are read: then they are read again. */
const attemptsMax = 5

export function usageOf(pid: number): Usage | undefined {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    try {
      const usage = { cpuMs: 0, rssBytes: 0 }
      for (const one of withDescendants(pid)) addUsage(one, usage)
      return usage
    } catch {
      // Again, or there are no figures.
    }
  }
  return undefined
}

function addUsage(pid: number, into: Usage): void {
  into.cpuMs += cpuMsOf(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  const rss = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  into.rssBytes += Number(rss?.[1] ?? 0) * 1024
}

/** Of the text of /proc/PID/stat: utime, stime, and those of children that have ended, cutime and cstime. */
export function cpuMsOf(stat: string): number {
  // The command name may hold spaces; the fields are counted from behind its closing bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(utimeAt, utimeAt + 4).reduce((sum, field) => sum + Number(field), 0)
  return (ticks * 1000) / ticksPerSecond
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
