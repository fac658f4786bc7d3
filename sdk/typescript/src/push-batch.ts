// Pushes to one queue, each a call of its own: one travels as PUSH, more as PUSHB, and every call gets its own answer.
//
//   calls    [ a ][ b ][ c ]
//   reply    ids [17, 49], errors [{ index: 1, … }]      a → 17, b → refused, c → 49

import { BatchRequest } from './batch-request.ts'
import { Deferred } from './deferred.ts'
import { FlashQError } from './errors.ts'
import type { Job, PushOptions } from './job.ts'
import { acceptedJob } from './job-text.ts'
import { valueText } from './json-text.ts'
import { type Reply, readIds, readItemErrors, readPushedId, unexpected } from './reply.ts'
import type { Request } from './request.ts'

export interface PushCall {
  readonly fields: string
  readonly data: unknown
  readonly options: PushOptions | undefined
  readonly deferred: Deferred<Job>
}

export class PushBatch extends BatchRequest {
  readonly queue: string
  readonly resendable = false
  readonly #calls: PushCall[] = []

  constructor(queue: string) {
    super()
    this.queue = queue
  }

  get calls(): number {
    return this.#calls.length
  }

  get name(): string {
    return this.#calls.length === 1 ? 'PUSH' : 'PUSHB'
  }

  add(fields: string, data: unknown, options: PushOptions | undefined): Promise<Job> {
    const deferred = new Deferred<Job>()
    this.#take({ fields, data, options, deferred })
    return deferred.promise
  }

  fieldsText(): string {
    const queue = `,"queue":${valueText(this.queue)}`
    const only = this.#calls.length === 1 ? this.#calls[0] : undefined
    if (only !== undefined) return `${queue},${only.fields}`
    let jobs = ''
    for (const call of this.#calls) jobs += jobs === '' ? `{${call.fields}}` : `,{${call.fields}}`
    return `${queue},"jobs":[${jobs}]`
  }

  accept(reply: Reply): void {
    const only = this.#calls.length === 1 ? this.#calls[0] : undefined
    if (only === undefined) this.#acceptMany(reply)
    else this.#fulfil(only, readPushedId(reply), Date.now())
  }

  reject(reason: unknown): void {
    for (const call of this.#calls) call.deferred.reject(reason)
  }

  override split(): Request[] {
    if (this.#calls.length === 1) return []
    return this.#calls.map((call) => {
      const single = new PushBatch(this.queue)
      single.#take(call)
      return single
    })
  }

  #take(call: PushCall): void {
    this.#calls.push(call)
    this.grow(call.fields.length)
  }

  #acceptMany(reply: Reply): void {
    const ids = readIds(reply)
    const refusals = new Map(readItemErrors(reply).map((item) => [item.index, item]))
    if (ids.length + refusals.size !== this.#calls.length) {
      throw unexpected('PUSHB', `${ids.length} ids and ${refusals.size} errors`)
    }
    const nowMs = Date.now()
    let accepted = 0
    for (let index = 0; index < this.#calls.length; index += 1) {
      const call = this.#calls[index]
      if (call === undefined) continue
      const refusal = refusals.size === 0 ? undefined : refusals.get(index)
      if (refusal === undefined) {
        this.#fulfil(call, ids[accepted], nowMs)
        accepted += 1
      } else {
        call.deferred.reject(new FlashQError(refusal.code, refusal.error))
      }
    }
  }

  #fulfil(call: PushCall, id: number | undefined, nowMs: number): void {
    if (id === undefined) call.deferred.reject(unexpected('PUSHB', 'an id is missing'))
    else call.deferred.resolve(acceptedJob(id, this.queue, call.data, call.options, nowMs))
  }
}
