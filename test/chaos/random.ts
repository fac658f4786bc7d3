// Chance that can be repeated: one seed, one sequence of numbers.

export class Random {
  private state: number

  constructor(seed: number) {
    // Neighbouring seeds must not begin alike.
    this.state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0
    for (let i = 0; i < 4; i++) this.next()
  }

  /** 0 ≤ x < 1. */
  next(): number {
    // A Weyl sequence, its bits mixed: every state is met once before it repeats.
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let bits = this.state
    bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad)
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97)
    return ((bits ^ (bits >>> 15)) >>> 0) / 2 ** 32
  }

  /** An integer, 0 ≤ n < max. */
  below(max: number): number {
    return Math.floor(this.next() * max)
  }

  /** An integer, min ≤ n ≤ max. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error('nothing to pick from')
    return list[this.below(list.length)] as T
  }

  /** A generator of its own, so that one actor's steps do not move another's. */
  fork(): Random {
    return new Random(this.below(2 ** 32))
  }
}
