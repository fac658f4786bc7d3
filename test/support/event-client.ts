// A client of `/events`: it keeps what it reads, and checks that it is well-formed.

import { type IncomingMessage, request } from 'node:http'
import { onTestFinished } from 'vitest'
import { eventually } from './eventually.ts'

const WITHIN_MS = 10_000

export interface SeenEvent {
  readonly type: string
  readonly id: string
  readonly data: Record<string, unknown>
}

export interface EventsAsked {
  readonly port: number
  readonly path?: string
  readonly lastEventId?: string
  readonly headers?: Readonly<Record<string, string>>
}

export class EventClient {
  readonly events: SeenEvent[] = []
  /** As a browser keeps it. */
  lastEventId = ''
  /** Comment lines. */
  comments = 0
  isEnded = false
  readonly answer: IncomingMessage
  private text = ''

  private constructor(answer: IncomingMessage) {
    this.answer = answer
    answer.setEncoding('utf8')
    answer.on('data', (text: string) => this.read(text))
    answer.on('close', () => {
      this.isEnded = true
    })
    answer.on('error', () => undefined)
  }

  /** Resolves when the server has begun the stream: from then on it misses nothing. */
  static open({
    port,
    path = '/events',
    lastEventId,
    headers = {},
  }: EventsAsked): Promise<EventClient> {
    return new Promise((resolve, reject) => {
      const asked = request({
        host: '127.0.0.1',
        port,
        path,
        agent: false,
        headers: {
          accept: 'text/event-stream',
          ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
          ...headers,
        },
      })
      asked.on('error', reject)
      asked.on('response', (answer) => {
        const client = new EventClient(answer)
        onTestFinished(() => client.close())
        resolve(client)
      })
      asked.end()
    })
  }

  get status(): number {
    return this.answer.statusCode ?? 0
  }

  /** Of the events that are not `dropped`. */
  get jobs(): number[] {
    return this.events.flatMap(({ data }) =>
      data['job_id'] === undefined ? [] : [Number(data['job_id'])],
    )
  }

  get dropped(): SeenEvent[] {
    return this.events.filter(({ type }) => type === 'dropped')
  }

  close(): void {
    this.answer.destroy()
  }

  until(what: string, check: (client: this) => boolean, withinMs = WITHIN_MS): Promise<void> {
    return eventually(what, withinMs, () => check(this))
  }

  async ended(): Promise<void> {
    await this.until('the stream ends', () => this.isEnded)
  }

  private read(text: string): void {
    this.text += text
    const messages = this.text.split('\n\n')
    this.text = messages.pop() ?? ''
    for (const message of messages) this.message(message)
  }

  private message(text: string): void {
    let type = ''
    let data: string | null = null
    for (const line of text.split('\n')) {
      const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
      if (name === '') this.comments++
      else if (name === 'event') type = value
      else if (name === 'data') data = value
      else if (name === 'id') this.lastEventId = value
      else if (name !== 'retry') throw new Error(`not a field of an event: ${line}`)
    }
    if (data !== null) this.events.push({ type, id: this.lastEventId, data: JSON.parse(data) })
  }
}
