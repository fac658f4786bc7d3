// beanstalkd in its memory mode (its default: no write-ahead log).

import { baseEnv, Child } from './child.ts'
import { freePort } from './ready.ts'
import { ready, type Server } from './server.ts'

export async function startBeanstalkd(program: string, libraries: string): Promise<Server> {
  const port = await freePort()
  const child = new Child(
    'beanstalkd',
    program,
    ['-l', '127.0.0.1', '-p', String(port)],
    baseEnv({ LD_LIBRARY_PATH: libraries }),
  )
  return ready(child, port, 'list-tubes-watched\r')
}
