// What an earlier life left behind in a cluster's folder, by its `postmaster.pid`.
//
//   no file, or nobody with that id             nothing; PostgreSQL itself repairs what a crash left
//   the id belongs to another program           the file is removed: PostgreSQL would take the id for its own
//   PostgreSQL runs, its server runs            refused: one server per data directory
//   PostgreSQL runs, its server was killed      stopped and waited for; the watchdog (`postmaster.ts`) has begun to
//   PostgreSQL runs, and we did not start it    refused
//
// An orphan is not adopted: its log goes to nobody, its options are those of another version, its watchdog is about
// to stop it.

import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { StorageFault } from '../../engine/storage-port.ts'
import type { EmbeddedLog } from './postmaster-log.ts'
import { hasOwner } from './run-folder.ts'

/** A fast shutdown ends with a checkpoint. */
const STOP_MS_MAX = 60_000
const POLL_MS = 25

/** Resolves when nobody uses `cluster`; rejects when somebody may. */
export async function settlePrevious(cluster: string, log: EmbeddedLog): Promise<void> {
  const deadlineMs = performance.now() + STOP_MS_MAX
  let isTold = false
  for (;;) {
    const file = readPidFile(cluster)
    if (file === null || !isAlive(file.pid)) return
    if (!isPostgresOf(file.pid, cluster)) {
      rmSync(pidFileOf(cluster), { force: true })
      return
    }
    const owned = await hasOwner(file.socketFolder)
    // It may have ended meanwhile, and its folder with it.
    if (!isAlive(file.pid)) continue
    if (owned !== false || performance.now() > deadlineMs) throw running(cluster, file.pid)
    if (!isTold) {
      log.warn({ postgresPid: file.pid }, 'stopping the PostgreSQL of a server that was killed')
      signal(file.pid, 'SIGINT')
      isTold = true
    }
    await sleep(POLL_MS)
  }
}

export function running(cluster: string, pid?: number): StorageFault {
  const who = pid === undefined ? '' : ` (its PostgreSQL has process id ${pid})`
  const text = `another server runs on ${cluster}${who}: stop it, or set another DATA_DIR`
  return new StorageFault('embedded_running', text, false)
}

interface PidFile {
  readonly pid: number
  readonly socketFolder: string
}

/** Lines: pid, data directory, start time, port, socket folder, … A file that is being written has fewer. */
function readPidFile(cluster: string): PidFile | null {
  let text: string
  try {
    text = readFileSync(pidFileOf(cluster), 'utf8')
  } catch {
    return null
  }
  const lines = text.split('\n')
  const pid = Number.parseInt(lines[0] ?? '', 10)
  return Number.isNaN(pid) ? null : { pid, socketFolder: lines[4] ?? '' }
}

function pidFileOf(cluster: string): string {
  return join(cluster, 'postmaster.pid')
}

/** False also when another user's process has the id: the cluster's owner is root or this user. */
function isAlive(pid: number): boolean {
  return signal(pid, 0)
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/** PostgreSQL works in its data directory. Where the system does not tell, its name must do. */
function isPostgresOf(pid: number, cluster: string): boolean {
  try {
    if (process.platform === 'linux') {
      return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(cluster)
    }
    const command = execFileSync('ps', ['-p', String(pid), '-o', 'comm='], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return basename(command.trim()) === 'postgres'
  } catch {
    return false
  }
}
