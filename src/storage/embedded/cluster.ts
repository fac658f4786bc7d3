// A cluster: the folder that PostgreSQL keeps its files in, below the data directory.
//
// 1. `initdb` works in a folder beside it, which is renamed when it is complete. So what has the name is a whole
//    cluster, whatever was cut off, and of two servers that start at once one makes it and both see it.
// 2. A cluster of another major version is never touched: only `pg_upgrade` or a dump can bring it over.

import { spawn } from 'node:child_process'
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { StorageFault } from '../../engine/storage-port.ts'
import { type Account, folderInTheWay, giveTo } from './account.ts'
import type { Binaries } from './binaries.ts'
import type { EmbeddedLog } from './postmaster-log.ts'

/** The C locale sorts by bytes, in every version of every library; checksums find what a disk got wrong. */
const INITDB = [
  '--encoding=UTF8',
  '--locale=C',
  '--data-checksums',
  '--username=flashq',
  '--auth-local=trust',
  '--auth-host=reject',
  '--no-instructions',
]

/** Makes it if it is not there; afterwards it can be started. */
export async function prepareCluster(
  cluster: string,
  binaries: Binaries,
  account: Account | null,
  log: EmbeddedLog,
): Promise<void> {
  removeDrafts(cluster)
  if (!existsSync(join(cluster, 'PG_VERSION'))) {
    const startMs = performance.now()
    await makeCluster(cluster, binaries, account)
    const ms = Math.round(performance.now() - startMs)
    log.info({ folder: cluster, version: binaries.version, ms }, 'made a PostgreSQL cluster')
  }
  const major = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim()
  if (major !== String(binaries.major)) {
    const text = `${cluster} is a cluster of PostgreSQL ${major}, and this is version ${binaries.major}: bring it over with pg_upgrade or a dump, or set another DATA_DIR`
    throw new StorageFault('embedded_version', text, false)
  }
  giveTo(account, cluster)
}

/** The cluster need not exist yet, the folder that holds it must. */
export function refuseUnreachable(cluster: string, account: Account | null): void {
  const closed = folderInTheWay(cluster, account)
  if (account === null || closed === null) return
  const text = `PostgreSQL does not run as root, and the account it runs as (uid ${account.uid}) cannot enter ${closed}: set DATA_DIR to a folder that it can reach, such as /var/lib/flashq, or start the server as another user`
  throw new StorageFault('embedded_unreachable', text, false)
}

async function makeCluster(
  cluster: string,
  binaries: Binaries,
  account: Account | null,
): Promise<void> {
  const draft = mkdtempSync(`${cluster}.new-${process.pid}-`)
  if (account !== null) chownSync(draft, account.uid, account.gid)
  try {
    await initdb(draft, binaries, account)
    renameSync(draft, cluster)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    // Another process was faster.
    if (existsSync(join(cluster, 'PG_VERSION'))) return
    throw error
  }
}

async function initdb(folder: string, binaries: Binaries, account: Account | null): Promise<void> {
  const child = spawn(join(binaries.folder, 'bin', 'initdb'), ['-D', folder, ...INITDB], {
    ...account,
    cwd: '/',
    env: childEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (text) => {
    errors += text
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  }).catch((cause) => {
    // "No such file" of a program that is there: its loader is not. Alpine has musl in place of glibc.
    const text = `cannot run PostgreSQL's initdb: ${cause.message} (on Linux it needs glibc)`
    throw new StorageFault('embedded_failed', text, false, cause)
  })
  if (code !== 0) {
    throw new StorageFault('embedded_failed', `initdb failed: ${errors.trim()}`, false)
  }
}

/** Nothing of ours: PGDATA, PGOPTIONS and the like would change what PostgreSQL does. */
export function childEnvironment(): Record<string, string> {
  const { PATH = '', TZ } = process.env
  return { PATH, LC_ALL: 'C', ...(TZ === undefined ? {} : { TZ }) }
}

/** Of processes that were killed while they made a cluster: `postgres.new-<pid>-<random>`. */
function removeDrafts(cluster: string): void {
  const prefix = `${basename(cluster)}.new-`
  for (const name of readdirSync(dirname(cluster))) {
    if (!name.startsWith(prefix)) continue
    const draft = join(dirname(cluster), name)
    if (!isInUse(draft, Number.parseInt(name.slice(prefix.length), 10))) {
      rmSync(draft, { recursive: true, force: true })
    }
  }
}

/** In a container this process may have the id of the one that was killed: then the draft is older than it. */
function isInUse(draft: string, pid: number): boolean {
  if (pid !== process.pid) return isAlive(pid)
  const stat = statSync(draft, { throwIfNoEntry: false })
  return stat !== undefined && stat.mtimeMs > performance.timeOrigin
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
