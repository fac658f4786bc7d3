// A Unix socket's file outlives a process that was killed; then nobody can listen on its path.

import { promises } from 'node:fs'
import { connect } from 'node:net'

/**
 * Removes the file of a Unix socket on which nobody answers. To be called once per node, before anybody listens:
 * two processes that do this at the same time could remove each other's new socket.
 *
 * Throws when somebody answers (`EADDRINUSE`), or when the path is there but is no socket.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const code = await connectError(path)
  switch (code) {
    case 'ENOENT':
      return
    case 'ECONNREFUSED':
      await removeSocket(path)
      return
    case null:
      throw Object.assign(new Error(`somebody listens on ${path} already`), { code: 'EADDRINUSE' })
    default:
      throw Object.assign(new Error(`cannot listen on ${path}: ${code}`), { code })
  }
}

/** A plain file refuses connections too, and is not ours to remove. */
async function removeSocket(path: string): Promise<void> {
  const found = await promises.lstat(path)
  if (!found.isSocket()) {
    throw Object.assign(new Error(`${path} exists and is not a socket`), { code: 'EEXIST' })
  }
  await promises.unlink(path)
}

/** Why nobody could be reached, or null when somebody answers. */
function connectError(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.on('connect', () => {
      socket.destroy()
      resolve(null)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}
