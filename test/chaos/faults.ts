// What is done to the server and its clients' connections. Each fault strikes, and undoes itself.
//
// 1. Only processes of the run are signalled, by their ids.
// 2. A fault that leaves nobody to serve also sees to it that somebody serves again.

import { setTimeout as pause } from 'node:timers/promises'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import type { History } from './history.ts'
import type { Random } from './random.ts'
import type { ChaosServer } from './server.ts'

export interface Fault {
  readonly name: string
  /** It is about clients' connections only. */
  readonly ofClients?: boolean
  /** How often, against the others. */
  readonly weight: number
  /** Does it, and undoes it; resolves to what it was done to, or to null when there was nothing to do it to. */
  strike(random: Random): Promise<string | null>
}

/** Strikes `count` times, one fault after another, with short breaks; every strike is noted. */
export async function storm(
  faults: readonly Fault[],
  count: number,
  random: Random,
  history: History,
  breakMs = 100,
): Promise<void> {
  const bag = faults.flatMap((fault) => new Array<Fault>(fault.weight).fill(fault))
  for (let struck = 0; struck < count; ) {
    const fault = random.pick(bag)
    const note = { fault: fault.name, target: '', startMs: history.nowMs(), endMs: 0 }
    const target = await fault.strike(random)
    await pause(random.below(breakMs))
    if (target === null) continue
    const isOfServer = fault.ofClients !== true
    history.faults.push({ ...note, target, endMs: history.nowMs(), isOfServer })
    struck++
  }
}

/** Faults of the way between clients and server. */
export function clientFaults(proxy: TcpProxy): Fault[] {
  const faults: Fault[] = [
    {
      name: 'client connection cut',
      weight: 6,
      strike: async (random) => {
        const n = random.below(1000)
        return proxy.cutAfter(n, random.chance(0.5) ? 0 : random.between(1, 2000)) ? 'one' : null
      },
    },
    {
      name: 'all client connections cut',
      weight: 1,
      strike: async () => {
        proxy.cutAll()
        return 'all'
      },
    },
    {
      name: 'clients half open',
      weight: 1,
      strike: async (random) => {
        proxy.swallow = random.pick(['client', 'server', 'both'] as const)
        const target = proxy.swallow
        await pause(random.between(50, 400))
        proxy.heal()
        return target
      },
    },
    {
      name: 'clients slow',
      weight: 1,
      strike: async (random) => {
        proxy.delayMs = random.between(10, 100)
        await pause(random.between(100, 500))
        proxy.delayMs = 0
        return 'all'
      },
    },
  ]
  return faults.map((fault) => ({ ...fault, ofClients: true }))
}

/** Faults of processes that a durable server survives. */
export function processFaults(server: ChaosServer): Fault[] {
  return [
    {
      name: 'worker killed',
      weight: 8,
      // The last one alive is spared: its restart may wait for seconds after so many deaths.
      strike: async (random) => signalWorker(server, random, 'SIGKILL', 2),
    },
    {
      name: 'worker stopped for a while',
      weight: 3,
      strike: async (random) => {
        const pid = pickWorker(server, random, 1)
        if (pid === null || !signal(pid, 'SIGSTOP')) return null
        await pause(random.between(20, 1500))
        signal(pid, 'SIGCONT')
        return `worker ${pid}`
      },
    },
    {
      name: 'primary killed, and restarted',
      weight: 1,
      strike: async () => {
        const { pid } = server.process
        await server.kill()
        await server.start()
        return `primary ${pid}`
      },
    },
    {
      name: 'everything killed, and restarted',
      weight: 1,
      strike: async () => {
        const { pid } = server.process
        const workers = server.workers()
        server.process.signal('SIGKILL')
        for (const worker of workers) signal(worker, 'SIGKILL')
        await server.process.exited
        await server.start()
        return `primary ${pid}`
      },
    },
    {
      name: 'workers restarted one after another',
      weight: 1,
      strike: async () => {
        server.process.signal('SIGHUP')
        return 'all'
      },
    },
    {
      name: 'server stopped by SIGTERM, and restarted',
      weight: 1,
      strike: async () => {
        const { pid } = server.process
        await server.terminate()
        await server.start()
        return `primary ${pid}`
      },
    },
  ]
}

function pickWorker(server: ChaosServer, random: Random, least: number): number | null {
  const workers = server.workers()
  return workers.length < least ? null : random.pick(workers)
}

function signalWorker(
  server: ChaosServer,
  random: Random,
  name: NodeJS.Signals,
  least: number,
): string | null {
  const pid = pickWorker(server, random, least)
  return pid !== null && signal(pid, name) ? `worker ${pid}` : null
}

/** False when it is gone already. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
