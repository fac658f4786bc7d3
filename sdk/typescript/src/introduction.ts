// A worker tells the server who it is, so that its list of consumers has it by its name.
//
//   TCP    once a connection, by HELLO: the server sees for itself when the connection ends, and counts its jobs
//   HTTP   at once and every 10 s, with the counts: the server forgets who has been silent for 30 s
//
// Nothing depends on it: what the server refuses is reported, and what a lost connection took is said on the next one.

import type { ConsumerClaims } from './call-options.ts'
import { FlashQError } from './errors.ts'
import type { FlashQClient } from './flashq.ts'

const AGAIN_MS = 10_000
const SAID_AGAIN: ReadonlySet<string> = new Set(['connection_lost', 'not_connected', 'closed'])

export class Introduction {
  readonly #client: FlashQClient
  readonly #name: string
  readonly #claims: () => ConsumerClaims
  readonly #failed: (error: unknown) => void
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(
    client: FlashQClient,
    name: string,
    claims: () => ConsumerClaims,
    failed: (error: unknown) => void,
  ) {
    this.#client = client
    this.#name = name
    this.#claims = claims
    this.#failed = failed
  }

  /** On every new connection. */
  say(): void {
    if (this.#client.isHttp) this.#timer ??= setInterval(() => this.#say(), AGAIN_MS)
    this.#say()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  #say(): void {
    this.#client.hello(this.#name, this.#claims()).catch((error: unknown) => {
      if (!(error instanceof FlashQError && SAID_AGAIN.has(error.code))) this.#failed(error)
    })
  }
}
