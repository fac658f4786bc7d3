// Named events with typed listeners: what the client needs of Node's EventEmitter, and has in a browser too.
//
// A listener that is added or removed while an event is given takes effect with the next one.

interface Registered {
  readonly listener: unknown
  readonly once: boolean
  readonly call: (args: unknown[]) => void
}

export class Emitter<Events extends { [K in keyof Events]: unknown[] }> {
  readonly #registered = new Map<keyof Events, readonly Registered[]>()

  on<K extends keyof Events>(name: K, listener: (...args: Events[K]) => void): this {
    return this.#add(name, listener, false)
  }

  once<K extends keyof Events>(name: K, listener: (...args: Events[K]) => void): this {
    return this.#add(name, listener, true)
  }

  off<K extends keyof Events>(name: K, listener: (...args: Events[K]) => void): this {
    const all = this.#registered.get(name) ?? []
    const place = all.findLastIndex((one) => one.listener === listener)
    if (place >= 0) this.#registered.set(name, all.toSpliced(place, 1))
    return this
  }

  addListener<K extends keyof Events>(name: K, listener: (...args: Events[K]) => void): this {
    return this.on(name, listener)
  }

  removeListener<K extends keyof Events>(name: K, listener: (...args: Events[K]) => void): this {
    return this.off(name, listener)
  }

  /** Of one event, or of all. */
  removeAllListeners(name?: keyof Events): this {
    if (name === undefined) this.#registered.clear()
    else this.#registered.delete(name)
    return this
  }

  listenerCount(name: keyof Events): number {
    return this.#registered.get(name)?.length ?? 0
  }

  /** Whether anybody listened. What a listener throws, the caller gets. */
  emit<K extends keyof Events>(name: K, ...args: Events[K]): boolean {
    const all = this.#registered.get(name) ?? []
    for (const one of all) {
      if (one.once) this.#remove(name, one)
      one.call(args)
    }
    return all.length > 0
  }

  #add<K extends keyof Events>(
    name: K,
    listener: (...args: Events[K]) => void,
    once: boolean,
  ): this {
    const call = (args: unknown[]): void => listener(...(args as Events[K]))
    const all = this.#registered.get(name) ?? []
    this.#registered.set(name, [...all, { listener, once, call }])
    return this
  }

  #remove(name: keyof Events, gone: Registered): void {
    const all = this.#registered.get(name) ?? []
    this.#registered.set(
      name,
      all.filter((one) => one !== gone),
    )
  }
}
