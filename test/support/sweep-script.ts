// A fixed day in the life of one queue, and the book that its client keeps: for each job, the states that it may be
// in, given what was answered. One state when all was answered; more where nobody knows.

import { expect } from 'vitest'
import type { ShardState } from '../../src/engine/shard-state.ts'
import { jobRows } from '../../src/engine/snapshot.ts'
import type { DurableWorker, Frame } from './durable-worker.ts'
import { type Answer, queueOfShard } from './engine-harness.ts'

export const SWEPT_SHARD = 6
const queue = queueOfShard(SWEPT_SHARD)
const ABSENT = 'unknown'

/** What a client sends, and what it makes of the answer: null when it hears nothing. */
interface Request {
  readonly frame: Frame
  hear(answer: Answer | null): void
}

interface Turn {
  readonly isKilled: boolean
  readonly make: (client: Client) => (Request | null)[]
}

class Client {
  readonly states = new Map<string, Set<string>>()
  private readonly ids = new Map<string, number>()
  private readonly names = new Map<number, string>()
  private readonly settings = new Set<string>(['none'])

  push(name: string, options: object = {}): Request {
    return {
      frame: { cmd: 'PUSH', queue, data: name, ...options },
      hear: (answer) => this.pushed([name], answer === null ? null : [answer.id]),
    }
  }

  pushBatch(...names: string[]): Request {
    return {
      frame: { cmd: 'PUSHB', queue, jobs: names.map((data) => ({ data })) },
      hear: (answer) => this.pushed(names, answer === null ? null : answer.ids),
    }
  }

  pull(count: number): Request {
    return {
      frame: { cmd: 'PULLB', queue, count, wait: 0 },
      hear: (answer) => {
        if (answer !== null)
          for (const { id } of answer.jobs) this.mustBe(this.names.get(id), 'active')
        else this.maybeAny('waiting', 'active')
      },
    }
  }

  ack(name: string): Request | null {
    return this.about(name, 'completed', (id) => ({ cmd: 'ACK', id, result: { name } }))
  }

  ackBatch(...names: string[]): Request | null {
    const known = names.filter((name) => this.ids.has(name))
    return {
      frame: { cmd: 'ACKB', ids: known.map((name) => this.ids.get(name)) },
      hear: (answer) => {
        const refused = new Set(answer?.errors?.map(({ index }) => index))
        known.forEach((name, i) => {
          if (answer === null) this.maybe(name, 'completed')
          else if (!refused.has(i)) this.mustBe(name, 'completed')
        })
      },
    }
  }

  fail(name: string, becomes: string): Request | null {
    return this.about(name, becomes, (id) => ({ cmd: 'FAIL', id, error: `of ${name}` }))
  }

  release(name: string): Request | null {
    return this.about(name, 'waiting', (id) => ({ cmd: 'RELEASE', id }))
  }

  cancel(name: string): Request | null {
    return this.about(name, ABSENT, (id) => ({ cmd: 'CANCEL', id }))
  }

  limit(limit: number): Request {
    return {
      frame: { cmd: 'SETCONCURRENCY', queue, limit },
      hear: (answer) => {
        if (answer !== null) this.settings.clear()
        this.settings.add(`${limit}`)
      },
    }
  }

  check(state: ShardState): void {
    const found = new Map<string, string>()
    for (const row of jobRows(state)) {
      const name = JSON.parse(row.data.toString()) as string
      expect(found.get(name), `${name} is there twice`).toBe(undefined)
      found.set(name, row.state)
    }
    for (const [name, states] of this.states) {
      expect([...states], name).toContain(found.get(name) ?? ABSENT)
      found.delete(name)
    }
    expect([...found.keys()], 'nobody pushed them').toEqual([])
    const setting = state.queuesByName.get(queue)?.concurrency ?? 'none'
    expect([...this.settings]).toContain(`${setting}`)
  }

  private pushed(names: readonly string[], ids: readonly number[] | null): void {
    names.forEach((name, i) => {
      const id = ids?.[i]
      this.states.set(name, new Set(id === undefined ? [ABSENT, 'waiting'] : ['waiting']))
      if (id === undefined) return
      expect(this.names.has(id), `id ${id} was given out twice`).toBe(false)
      this.ids.set(name, id)
      this.names.set(id, name)
    })
  }

  /** Null when the client does not know its id. */
  private about(name: string, becomes: string, frameOf: (id: number) => Frame): Request | null {
    const id = this.ids.get(name)
    if (id === undefined) return null
    return {
      frame: frameOf(id),
      hear: (answer) => {
        if (answer === null) this.maybe(name, becomes)
        else if (answer.ok && answer.errors === undefined) this.mustBe(name, becomes)
      },
    }
  }

  private mustBe(name: string | undefined, state: string): void {
    // A job whose push was not answered may be pulled all the same: its name is not known here.
    if (name !== undefined) this.states.set(name, new Set([state]))
    else this.maybeAny('waiting', state)
  }

  private maybe(name: string, state: string): void {
    this.states.get(name)?.add(state)
  }

  private maybeAny(before: string, after: string): void {
    for (const states of this.states.values()) if (states.has(before)) states.add(after)
  }
}

const turn = (make: Turn['make']): Turn => ({ isKilled: false, make })
const killed = (make: Turn['make']): Turn => ({ isKilled: true, make })

const script: readonly Turn[] = [
  turn((c) => [c.push('a')]),
  turn((c) => [c.push('b'), c.push('c', { max_attempts: 1 }), c.pushBatch('d', 'e', 'f')]),
  turn((c) => [c.pull(3), c.push('g', { priority: -5 })]),
  turn((c) => [c.ack('a'), c.fail('b', 'waiting'), c.fail('c', 'failed')]),
  turn((c) => [c.limit(50), c.cancel('d'), c.push('h'.repeat(300))]),
  turn((c) => [c.pull(4), c.push('i')]),
  killed((c) => [c.push('j'), c.ack('b')]),
  turn((c) => [c.ackBatch('e', 'f'), c.release('h'.repeat(300)), c.pushBatch('k', 'l')]),
  turn((c) => [c.limit(60), c.push('m'.repeat(500))]),
  turn((c) => [c.pull(4)]),
  killed(() => []),
  turn((c) => [c.ack('i'), c.ack('k'), c.ack('l'), c.push('n')]),
  turn((c) => [c.push('o'.repeat(900)), c.cancel('g'), c.pull(2)]),
  turn((c) => [c.fail('m'.repeat(500), 'waiting'), c.push('p')]),
]

/** The client's book after the whole script. */
export async function playScript(worker: DurableWorker): Promise<Client> {
  const client = new Client()
  await worker.start()
  for (const { isKilled, make } of script) {
    const requests = make(client).filter((request) => request !== null)
    const frames = requests.map(({ frame }) => frame)
    if (isKilled) await worker.killIn(frames)
    const answers = isKilled ? [] : await worker.turn(frames)
    for (const [i, { hear }] of requests.entries()) hear(answers[i] ?? null)
  }
  await worker.stop()
  return client
}
