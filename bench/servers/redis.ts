// Redis as a peer: of the memory mode, keeping nothing on disk, or of the durable mode, with each write flushed to disk.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { baseEnv, Child } from './child.ts'
import { freePort } from './ready.ts'
import { ready, type Server } from './server.ts'

export function startRedis(program: string, libraries: string): Promise<Server> {
  return start(program, libraries, ['--appendonly', 'no'])
}

/** `appendfsync always`: a write is answered when it is on disk. */
export async function startDurableRedis(program: string, libraries: string): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'flashq-bench-redis-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  const server = await start(program, libraries, [
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
    // A rewrite of the log would take its time from whoever is measured next.
    '--auto-aof-rewrite-percentage',
    '0',
    '--dir',
    folder,
  ])
  return {
    ...server,
    stop: async () => {
      await server.stop()
      remove()
      process.removeListener('exit', remove)
    },
  }
}

async function start(program: string, libraries: string, args: string[]): Promise<Server> {
  const port = await freePort()
  const child = new Child(
    'redis',
    program,
    ['--bind', '127.0.0.1', '--port', String(port), '--save', '', ...args],
    baseEnv({ LD_LIBRARY_PATH: libraries }),
  )
  return ready(child, port, 'PING\r')
}
