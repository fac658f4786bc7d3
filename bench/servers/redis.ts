// A Redis that keeps nothing on disk, as a peer of the memory mode.

import { baseEnv, Child } from './child.ts'
import { freePort } from './ready.ts'
import { ready, type Server } from './server.ts'

export async function startRedis(program: string, libraries: string): Promise<Server> {
  const port = await freePort()
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no']
  const child = new Child('redis', program, args, baseEnv({ LD_LIBRARY_PATH: libraries }))
  return ready(child, port, 'PING\r')
}
