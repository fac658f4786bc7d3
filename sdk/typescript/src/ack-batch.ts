// Acks of jobs of one shard, each a call of its own: one travels as ACK, more as ACKB, and every call gets its own answer.

import { BatchRequest } from './batch-request.ts'
import { Deferred } from './deferred.ts'
import { FlashQError } from './errors.ts'
import { numberText } from './json-text.ts'
import { type Reply, readCount, readItemErrors, unexpected } from './reply.ts'
import type { Request } from './request.ts'

interface AckCall {
  readonly id: number
  /** JSON text; empty = none. */
  readonly result: string
  readonly token: number | undefined
  readonly deferred: Deferred<void>
}

export class AckBatch extends BatchRequest {
  readonly resendable = false
  readonly #calls: AckCall[] = []

  get calls(): number {
    return this.#calls.length
  }

  get name(): string {
    return this.#calls.length === 1 ? 'ACK' : 'ACKB'
  }

  add(id: number, result: string, token: number | undefined): Promise<void> {
    const deferred = new Deferred<void>()
    this.#take({ id, result, token, deferred })
    return deferred.promise
  }

  fieldsText(): string {
    const only = this.#calls.length === 1 ? this.#calls[0] : undefined
    if (only !== undefined) {
      const result = only.result === '' ? '' : `,"result":${only.result}`
      const token = only.token === undefined ? '' : `,"token":${numberText(only.token)}`
      return `,"id":${numberText(only.id)}${result}${token}`
    }
    return this.#manyText()
  }

  accept(reply: Reply): void {
    if (this.#calls.length > 1) this.#acceptMany(reply)
    else for (const call of this.#calls) call.deferred.resolve()
  }

  reject(reason: unknown): void {
    for (const call of this.#calls) call.deferred.reject(reason)
  }

  override split(): Request[] {
    if (this.#calls.length === 1) return []
    return this.#calls.map((call) => {
      const single = new AckBatch()
      single.#take(call)
      return single
    })
  }

  #take(call: AckCall): void {
    this.#calls.push(call)
    this.grow(call.result.length + 20)
  }

  #manyText(): string {
    let ids = ''
    let tokens = ''
    let results = ''
    let someToken = false
    let someResult = false
    for (const call of this.#calls) {
      const comma = ids === '' ? '' : ','
      ids += comma + numberText(call.id)
      tokens += comma + (call.token === undefined ? 'null' : numberText(call.token))
      results += comma + (call.result === '' ? 'null' : call.result)
      someToken ||= call.token !== undefined
      someResult ||= call.result !== ''
    }
    let text = `,"ids":[${ids}]`
    if (someToken) text += `,"tokens":[${tokens}]`
    if (someResult) text += `,"results":[${results}]`
    return text
  }

  #acceptMany(reply: Reply): void {
    const refusals = new Map(readItemErrors(reply).map((item) => [item.index, item]))
    const count = readCount(reply)
    if (count + refusals.size !== this.#calls.length) {
      throw unexpected('ACKB', `a count of ${count} and ${refusals.size} errors`)
    }
    for (let index = 0; index < this.#calls.length; index += 1) {
      const refusal = refusals.size === 0 ? undefined : refusals.get(index)
      if (refusal === undefined) this.#calls[index]?.deferred.resolve()
      else this.#calls[index]?.deferred.reject(new FlashQError(refusal.code, refusal.error))
    }
  }
}
