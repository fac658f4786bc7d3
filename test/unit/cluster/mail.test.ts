import { describe, expect, it } from 'vitest'
import { NOBODY } from '../../../src/cluster/assignment.ts'
import { Mail } from '../../../src/cluster/mail.ts'
import { Routes } from '../../../src/cluster/routes.ts'
import type { ParentMail } from '../../../src/engine/ports.ts'
import { queueOfShard } from '../../support/engine-harness.ts'

/** Even shards are worker 0's, odd ones those of `odd`. */
function mailing(me: number, odd = 1) {
  const routes = new Routes(me)
  const own = (worker: number): void =>
    routes.update(
      1,
      Array.from({ length: 32 }, (_, shard) => (shard % 2 === 0 ? 0 : worker)),
      [1, 1],
    )
  own(odd)
  const sent: { worker: number; json: string }[] = []
  let pending = 0
  let dropped = 0
  const mail = new Mail({
    routes,
    send(worker, json) {
      if (worker === NOBODY) return false
      sent.push({ worker, json })
      return true
    },
    pending: () => pending++,
    dropped: (count) => {
      dropped += count
    },
  })
  const got: unknown[][] = []
  const shards: ParentMail = {
    ask: (parent, child) => void got.push(['ask', parent, child]),
    tell: (child, parent, outcome) => void got.push(['tell', child, parent, outcome]),
    cronTick: (tick) => void got.push(['tick', tick.name]),
    cronTaken: (name, tickMs) => void got.push(['taken', name, tickMs]),
    webhook: (letter) => void got.push(['webhook', letter.kind]),
  }
  return { mail, own, sent, got, shards, pending: () => pending, dropped: () => dropped }
}

const tick = { name: 'c', tickMs: 1, queue: 'q', data: '{"a":"é"}', priority: 0 }

describe('mail between shards', () => {
  it('is handed over at the end of the turn when the shard is here', () => {
    const { mail, got, shards, pending } = mailing(0)
    mail.ask(2, 35)
    mail.tell(4, 6, 'completed')
    expect(got).toEqual([])
    expect(pending()).toBe(1)
    mail.deliver(shards)
    expect(got).toEqual([
      ['ask', 2, 35],
      ['tell', 4, 6, 'completed'],
    ])
    expect(mail.deliver(shards)).toBe(false)
  })

  it('does not re-enter a shard that answers', () => {
    const { mail, got, shards } = mailing(0)
    mail.ask(2, 4)
    const depth: number[] = []
    let inside = 0
    mail.deliver({
      ...shards,
      ask: () => {
        inside++
        mail.tell(4, 2, 'completed')
        depth.push(inside)
        inside--
      },
    })
    expect(got).toEqual([])
    mail.deliver(shards)
    expect(got).toEqual([['tell', 4, 2, 'completed']])
  })

  it('goes to the worker that owns the shard, and is the same there', () => {
    const here = mailing(0)
    const there = mailing(1)
    here.mail.ask(3, 2)
    here.mail.tell(5, 2, 'failed')
    here.mail.cronTick({ ...tick, queue: queueOfShard(9) })
    here.mail.cronTaken(queueOfShard(11), 5)
    for (const { worker, json } of here.sent) {
      expect(worker).toBe(1)
      there.mail.receive(json)
    }
    there.mail.deliver(there.shards)
    expect(there.got).toEqual([
      ['ask', 3, 2],
      ['tell', 5, 2, 'failed'],
      ['tick', 'c'],
      ['taken', queueOfShard(11), 5],
    ])
  })

  it('waits while its shard has no owner', () => {
    const { mail, own, sent, got, shards } = mailing(0, NOBODY)
    mail.ask(3, 2)
    expect(sent).toEqual([])
    own(1)
    mail.ownersChanged()
    expect(sent).toHaveLength(1)
    mail.ask(5, 2)
    own(0)
    mail.ownersChanged()
    mail.deliver(shards)
    expect(got).toEqual([])
    expect(sent).toHaveLength(2)
  })

  it('does not wait when it is about a cron, which sends it again', () => {
    const { mail, own, sent } = mailing(0, NOBODY)
    mail.cronTick({ ...tick, queue: queueOfShard(9) })
    mail.cronTaken(queueOfShard(11), 5)
    own(1)
    mail.ownersChanged()
    expect(sent).toEqual([])
  })

  it('about webhooks waits only when nobody sends it again', () => {
    const { mail, own, sent } = mailing(0, NOBODY)
    const ref = { shard: 3, no: 1, createdAtMs: 0, webhook: 1 }
    const result = { end: 'ok', delayMs: 0, status: 200, error: null, tookMs: 1 } as const
    mail.webhook({ kind: 'webhooks', to: 3, text: '{}' })
    mail.webhook({ kind: 'delivered', to: 3, ref, result })
    own(1)
    mail.ownersChanged()
    expect(sent.map(({ json }) => JSON.parse(json).letter.kind)).toEqual(['delivered'])
  })

  it('waits for the table when the sender has a newer one', () => {
    const { mail, own, got, shards } = mailing(1, 0)
    mail.receive('{"kind":"ask","parent":3,"child":2}')
    mail.deliver(shards)
    expect(got).toEqual([])
    own(1)
    mail.ownersChanged()
    mail.deliver(shards)
    expect(got).toEqual([['ask', 3, 2]])
  })

  it('is bounded: beyond 100,000 held messages, more are dropped and counted', () => {
    const { mail, dropped } = mailing(0, NOBODY)
    for (let i = 0; i < 100_003; i++) mail.ask(3, 2)
    expect(dropped()).toBe(3)
  })
})
