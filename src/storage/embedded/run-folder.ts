// A short, private folder that lives as long as the server process: PostgreSQL's socket, and the mark of the owner.
//
// 1. Short: the path of a Unix socket has at most 103 bytes, and a data directory may be deeper than that.
// 2. Private (0700): whoever can open the socket is PostgreSQL's superuser.
// 3. `owner` is a socket that this process listens on and the kernel closes when the process ends, however it ends.
//    So a second server that finds PostgreSQL running knows whether somebody still needs it (`previous.ts`). A file
//    with a process id would not do: ids are used again, in containers at every start.

import { chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Account, folderInTheWay } from './account.ts'

export const SOCKET_PORT = 5432
const SOCKET_PATH_BYTES_MAX = 103
const LONGEST_NAME = `flashq-XXXXXX/.s.PGSQL.${SOCKET_PORT}.lock`

export class RunFolder {
  readonly path: string
  private readonly owner: Server

  private constructor(path: string, owner: Server) {
    this.path = path
    this.owner = owner
  }

  static async make(account: Account | null): Promise<RunFolder> {
    const path = mkdtempSync(join(parentFor(account), 'flashq-'))
    const owner = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve, reject) => {
      owner.once('error', reject)
      owner.listen(ownerSocket(path), resolve)
    })
    owner.unref()
    if (account !== null) chownSync(path, account.uid, account.gid)
    return new RunFolder(path, owner)
  }

  /** For `pg` and for libpq alike: the folder takes the host's place. */
  get url(): string {
    return `postgresql://flashq@${encodeURIComponent(this.path)}:${SOCKET_PORT}/postgres`
  }

  async remove(): Promise<void> {
    await new Promise((resolve) => this.owner.close(resolve))
    rmSync(this.path, { recursive: true, force: true })
  }
}

/** Whether the process that made this folder is there; null = nobody made it, it is not one of ours. */
export async function hasOwner(runFolder: string): Promise<boolean | null> {
  const path = ownerSocket(runFolder)
  if (!existsSync(path)) return null
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Anything but a refusal may come from a process that is there.
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
  })
}

function ownerSocket(runFolder: string): string {
  return join(runFolder, 'owner')
}

function parentFor(account: Account | null): string {
  const preferred = tmpdir()
  const longest = join(preferred, LONGEST_NAME)
  const isShort = Buffer.byteLength(longest) <= SOCKET_PATH_BYTES_MAX
  return isShort && folderInTheWay(join(preferred, 'x'), account) === null ? preferred : '/tmp'
}
