// Which jobs a connection gives back when it closes (`release_on_close`).
//
// A list per holder that is only added to; entries of jobs that have moved on are recognised by the rows
// and swept out when the list has doubled.

import type { Seq } from './job-id.ts'

interface Held {
  seqs: Seq[]
  sweepAt: number
}

export class Holders {
  private readonly byHolder = new Map<number, Held>()
  private readonly isHeld: (seq: Seq, holder: number) => boolean

  constructor(isHeld: (seq: Seq, holder: number) => boolean) {
    this.isHeld = isHeld
  }

  add(holder: number, seq: Seq): void {
    const held = this.byHolder.get(holder)
    if (held === undefined) {
      this.byHolder.set(holder, { seqs: [seq], sweepAt: 1024 })
      return
    }
    held.seqs.push(seq)
    if (held.seqs.length < held.sweepAt) return
    held.seqs = this.stillHeld(held.seqs, holder)
    held.sweepAt = Math.max(1024, held.seqs.length * 2)
  }

  /** The jobs it holds; its list is forgotten. */
  take(holder: number): Seq[] {
    const held = this.byHolder.get(holder)
    if (held === undefined) return []
    this.byHolder.delete(holder)
    return this.stillHeld(held.seqs, holder)
  }

  /** The jobs it holds. */
  heldBy(holder: number): Seq[] {
    return this.stillHeld(this.byHolder.get(holder)?.seqs ?? [], holder)
  }

  has(holder: number): boolean {
    return this.byHolder.has(holder)
  }

  holders(): number[] {
    return [...this.byHolder.keys()]
  }

  private stillHeld(seqs: Seq[], holder: number): Seq[] {
    return [...new Set(seqs)].filter((seq) => this.isHeld(seq, holder))
  }
}
