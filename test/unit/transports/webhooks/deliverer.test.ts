import { beforeEach, describe, expect, it } from 'vitest'
import type { DeliveryRef, WebhookLetter } from '../../../../src/engine/webhook-ports.ts'
import type { OutgoingEvent, Webhook } from '../../../../src/engine/webhooks.ts'
import type { Attempted, Post } from '../../../../src/transports/webhooks/attempt.ts'
import { Deliverer } from '../../../../src/transports/webhooks/deliverer.ts'
import { CapturedLog } from '../../../support/captured-log.ts'

const NOW_MS = 1_700_000_000_000
const OK: Attempted = { status: 200, retryAfterMs: null }
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const webhook: Webhook = {
  ...{ no: 1, url: 'https://a.example/x?key=hush', events: ['*'], queue: null },
  ...{ secret: 'hush', oldSecret: 'before', oldSecretUntilMs: NOW_MS + 1 },
  ...{ headers: { 'x-own': '1' }, createdAtMs: 0, enabled: true, reason: null },
}

interface UnderWay {
  readonly post: Post
  readonly signal: AbortSignal
  end(attempted: Attempted): void
}

let log: CapturedLog
let underWay: UnderWay[]
let letters: WebhookLetter[]
/** What the shards have. */
let events: Map<number, OutgoingEvent>
let deliverer: Deliverer
let nowMs: number

beforeEach(() => {
  log = new CapturedLog()
  underWay = []
  letters = []
  events = new Map()
  nowMs = NOW_MS
  deliverer = new Deliverer({
    policy: { refuse: () => 'no' },
    retries: { pausesMs: [1000], random: () => 0.5 },
    ...{ disableAfterMs: 5, userAgent: 'FlashQ/t', clock: { nowMs: () => nowMs }, log },
    attempt: (post, signal) =>
      new Promise((end) => {
        underWay.push({ post, signal, end })
      }),
    take: (ref) => events.get(ref.no) ?? null,
    report: (letter) => letters.push(letter),
  })
})

function ref(no: number, url = webhook.url): DeliveryRef {
  events.set(no, { webhook: { ...webhook, url }, body: Buffer.from(`{"n":${no}}`), attempts: 0 })
  return { shard: 3, no, createdAtMs: NOW_MS, webhook: 1 }
}

async function deliver(count: number, url = webhook.url, from = 1): Promise<void> {
  for (let no = from; no < from + count; no++) deliverer.deliver(ref(no, url), url)
  await turn()
}

async function end(at: number, attempted: Attempted = OK): Promise<void> {
  underWay.splice(at, 1)[0]?.end(attempted)
  await turn()
  await turn()
}

const bodies = (): string[] => underWay.map(({ post }) => post.body.toString())

describe('a delivery', () => {
  it('is signed, by the secret before as well, and reported', async () => {
    await deliver(1)
    const [first] = underWay
    expect(first?.post).toMatchObject({ url: webhook.url, body: Buffer.from('{"n":1}') })
    expect(first?.post.headers).toMatchObject({
      'x-own': '1',
      'content-type': 'application/json',
      'user-agent': 'FlashQ/t',
      'webhook-id': `msg_3_1_${NOW_MS}`,
      'webhook-timestamp': String(NOW_MS / 1000),
      'webhook-signature': expect.stringMatching(/^v1,\S+ v1,\S+$/),
    })
    nowMs += 12
    await end(0)
    expect(letters).toMatchObject([
      { kind: 'delivered', to: 3, ref: { no: 1 }, result: { end: 'ok', tookMs: 12 } },
    ])
    expect(deliverer.counts).toMatchObject({ delivered: 1, retried: 0, givenUp: 0, gone: 0 })
  })

  it('is signed by the newest secret alone when the other one has run out', async () => {
    nowMs = webhook.oldSecretUntilMs
    await deliver(1)
    expect(underWay[0]?.post.headers['webhook-signature']).toMatch(/^v1,\S+$/)
  })

  it('does not start in the turn that it is named in', async () => {
    deliverer.deliver(ref(1), webhook.url)
    expect(underWay).toEqual([])
    await turn()
    expect(underWay).toHaveLength(1)
  })

  it('is under way once, however often it is named, and may come again later', async () => {
    await deliver(1)
    await deliver(1)
    expect(underWay).toHaveLength(1)
    await end(0, { error: 'no' })
    await deliver(1)
    expect(underWay).toHaveLength(1)
  })

  it('that its shard has no more is left out', async () => {
    const gone = ref(1)
    events.delete(1)
    deliverer.deliver(gone, webhook.url)
    await deliver(1, webhook.url, 2)
    expect(bodies()).toEqual(['{"n":2}'])
    expect(deliverer.pending).toBe(1)
  })

  it('that is given up is told, with nothing that is secret', async () => {
    await deliver(1)
    await end(0, { error: 'no' })
    const again = ref(1)
    events.set(1, { ...(events.get(1) as OutgoingEvent), attempts: 1 })
    deliverer.deliver(again, webhook.url)
    await turn()
    await end(0, { status: 500, retryAfterMs: null })
    expect(letters.map((each) => each.kind === 'delivered' && each.result.end)).toEqual([
      'retry',
      'dead',
    ])
    const [line] = log.lines
    expect(line?.text).toBe('a delivery to a webhook was given up')
    const fields = { webhook: 'wh_1', host: 'a.example', status: 500, attempts: 2 }
    expect(line?.fields).toMatchObject(fields)
    expect(JSON.stringify(log.lines)).not.toContain('hush')
  })
})

describe('a host', () => {
  it('gets four at a time, in order', async () => {
    await deliver(6)
    expect(bodies()).toEqual([1, 2, 3, 4].map((n) => `{"n":${n}}`))
    await end(2)
    expect(bodies()).toEqual([1, 2, 4, 5].map((n) => `{"n":${n}}`))
  })

  it('that has too much to do gets one at a time, until it answers well', async () => {
    await deliver(8)
    await end(0, { status: 429, retryAfterMs: 1000 })
    expect(underWay).toHaveLength(3)
    await end(0, { status: 503, retryAfterMs: null })
    await end(0, { status: 503, retryAfterMs: null })
    await end(0, { status: 503, retryAfterMs: null })
    expect(underWay).toHaveLength(1)
    await end(0)
    expect(underWay).toHaveLength(3)
  })

  it('that hangs does not hold up another one, and all together have 64 places', async () => {
    await deliver(10)
    for (let host = 0; host < 20; host++) {
      await deliver(10, `https://h${host}.example/`, 100 * (host + 1))
    }
    expect(underWay).toHaveLength(64)
    const perHost = underWay.filter(({ post }) => post.url === webhook.url)
    expect(perHost).toHaveLength(4)
    // A host that has had its turn goes behind those that had no place yet.
    const before = new Set(underWay.map(({ post }) => post.url))
    await end(0)
    await end(0)
    expect(underWay).toHaveLength(64)
    expect(before.has(underWay.at(-1)?.post.url ?? '')).toBe(false)
  })
})

describe('the deliverer', () => {
  it('ends what is under way when it stops, reports nothing of it, and takes no more', async () => {
    await deliver(5)
    let stopped = false
    const stopping = deliverer.stop().then(() => {
      stopped = true
    })
    expect(underWay.every(({ signal }) => signal.aborted)).toBe(true)
    await turn()
    expect(stopped).toBe(false)
    while (underWay.length > 0) await end(0, { error: 'took too long' })
    await stopping
    await deliver(1, webhook.url, 9)
    expect([letters, underWay]).toEqual([[], []])
    await deliverer.stop()
  })

  it('tells of events that had no room, at 1, 2, 4, 8', () => {
    for (let i = 0; i < 9; i++) deliverer.dropped(7)
    expect(deliverer.counts.dropped).toBe(9)
    expect(log.lines.map(({ fields }) => fields)).toEqual(
      [1, 2, 4, 8].map((count) => ({ webhook: 'wh_7', count })),
    )
  })

  it('refuses the URLs that its policy refuses', () => {
    expect(deliverer.refuseUrl('https://a.example/')).toBe('no')
  })
})
