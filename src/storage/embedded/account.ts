// Who runs PostgreSQL. It refuses to be root, so a server that is root gives it another account.
//
// 1. A cluster that exists keeps its owner: somebody may start the server with `sudo` once, and without later.
// 2. A new one goes to `nobody`, an account that every system has. Its files are its own (mode 0700).
// 3. What the account must reach and cannot is a fault that names the folder in the way.

import { chownSync, lchownSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface Account {
  readonly uid: number
  readonly gid: number
}

/** Where `nobody` has no line in /etc/passwd; both ids are those of Debian, Fedora and Alpine. */
const NOBODY: Account = { uid: 65_534, gid: 65_534 }

/** Null = that of this process, which is not root. `folder` is the cluster's, and may not exist yet. */
export function accountFor(folder: string): Account | null {
  if (process.getuid?.() !== 0) return null
  const owner = statSync(folder, { throwIfNoEntry: false })
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  return nobody(readFileSync('/etc/passwd', 'utf8'))
}

/** `passwd` is the text of /etc/passwd. */
export function nobody(passwd: string): Account {
  const [, uid, gid] = /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(passwd) ?? []
  return uid === undefined || gid === undefined ? NOBODY : { uid: Number(uid), gid: Number(gid) }
}

/** The folder that keeps the account from what is, or will be, at `path`; null = none. Its folder exists. */
export function folderInTheWay(path: string, account: Account | null): string | null {
  if (account === null) return null
  const closed: string[] = []
  for (let folder = realpathSync(dirname(path)); ; folder = dirname(folder)) {
    if (!mayEnter(folder, account)) closed.push(folder)
    if (folder === dirname(folder)) break
  }
  return closed.at(-1) ?? null
}

/** Everything at and below `path` becomes the account's. */
export function giveTo(account: Account | null, path: string): void {
  if (account === null || statSync(path).uid === account.uid) return
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    lchownSync(join(entry.parentPath, entry.name), account.uid, account.gid)
  }
  // Last: it says that all the others are done, should this be cut off.
  chownSync(path, account.uid, account.gid)
}

function mayEnter(folder: string, { uid, gid }: Account): boolean {
  const stat = statSync(folder)
  const bit = stat.uid === uid ? 0o100 : stat.gid === gid ? 0o010 : 0o001
  return (stat.mode & bit) !== 0
}
