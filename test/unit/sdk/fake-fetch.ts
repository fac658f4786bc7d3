// The web as the HTTP client's tests want it: `fetch` answers as the test says, and remembers what it was asked.

import { vi } from 'vitest'

export interface FetchCall {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  readonly signal: AbortSignal
}

/** Undefined: a plausible answer. What it throws, fetch rejects with. */
export type FetchScript = (call: FetchCall) => Response | Promise<Response> | undefined

export class FakeFetch {
  readonly calls: FetchCall[] = []
  script: FetchScript = () => undefined
  #watchers: (() => void)[] = []

  install(): this {
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => this.#fetch(url, init))
    return this
  }

  of(path: string): FetchCall[] {
    return this.calls.filter((call) => call.path.split('?')[0] === path)
  }

  /** Resolves when so many calls of that path have come. */
  async received(path: string, count = 1): Promise<FetchCall[]> {
    while (this.of(path).length < count) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve))
    }
    return this.of(path)
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const { pathname, search } = new URL(url)
    const call: FetchCall = {
      method: init.method ?? 'GET',
      path: pathname + search,
      headers: init.headers as Record<string, string>,
      body: (init.body as string | null | undefined) ?? null,
      signal: init.signal as AbortSignal,
    }
    this.calls.push(call)
    const watchers = this.#watchers
    this.#watchers = []
    for (const watcher of watchers) watcher()
    const aborted = new Promise<never>((_, reject) => {
      const abort = (): void => reject(new DOMException('aborted', 'AbortError'))
      if (call.signal.aborted) abort()
      call.signal.addEventListener('abort', abort)
    })
    const answer = Promise.resolve().then(() => this.script(call) ?? data(null))
    return Promise.race([answer, aborted])
  }
}

export function data(value: unknown): Response {
  return Response.json({ ok: true, data: value })
}

export function refused(status: number, code: string, error = code): Response {
  return Response.json({ ok: false, error, code }, { status })
}

/** What fetch rejects with when there is no connection. */
export function networkFault(code: string): TypeError {
  const cause = Object.assign(new Error(`connect ${code}`), { code })
  return new TypeError('fetch failed', { cause })
}

/** An answer that never comes. */
export function never(): Promise<Response> {
  return new Promise(() => {})
}

/** A stream of server-sent events, in the test's hands. */
export class EventBody {
  readonly response: Response
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null

  constructor() {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller
      },
    })
    this.response = new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }

  send(text: string): void {
    this.#controller?.enqueue(new TextEncoder().encode(text))
  }

  end(): void {
    this.#controller?.close()
  }

  break(): void {
    this.#controller?.error(networkFault('ECONNRESET'))
  }
}
