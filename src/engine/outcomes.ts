// How jobs ended whose bodies are gone, for their dependants: nearly all completed, so that is what is not written.
//
//   seq ──▶ page (seq / 4096) ──▶ 2 bits: completed 0, failed 1, cancelled 2, expired 3
//
// 1. A page exists only while some job in it ended otherwise than completed; without one, completed.
//    Whether a sequence was issued, and is not live, is for the caller to know.
// 2. At most `PAGES_MAX` pages. The oldest is dropped first, and with it everything before it becomes
//    unknown for good: `floor` never goes back.

import type { Seq } from './job-id.ts'
import type { ParentOutcome } from './ports.ts'
import type { RecordReader, RecordWriter } from './record-bytes.ts'

const PAGE_SEQS = 4096
/** 1 KiB each; they cover 268 million jobs even if every page has a job that did not complete. */
const PAGES_MAX = 65_536

/** Marks of a page that are written one by one; more of them take more than the page. */
const LISTED_MAX = 512

const names = ['completed', 'failed', 'cancelled', 'expired'] as const
const codes = { completed: 0, failed: 1, cancelled: 2, expired: 3 } as const

/** How a job can end. */
export type Outcome = Exclude<ParentOutcome, 'open' | 'unknown'>

interface OutcomePage {
  readonly bits: Uint8Array
  /** Jobs that did not complete. */
  marked: number
}

export class Outcomes {
  private readonly pages = new Map<number, OutcomePage>()
  private readonly pagesMax: number
  private floor: Seq = 0
  /** No page has a lower number. */
  private lowestPageNo = Number.POSITIVE_INFINITY

  constructor(pagesMax = PAGES_MAX) {
    this.pagesMax = pagesMax
  }

  /** Pages held. */
  get size(): number {
    return this.pages.size
  }

  set(seq: Seq, outcome: Outcome): void {
    if (seq < this.floor) return
    const pageNo = Math.floor(seq / PAGE_SEQS)
    const page = this.pages.get(pageNo) ?? (outcome === 'completed' ? null : this.open(pageNo))
    if (page === null) return
    const at = (seq % PAGE_SEQS) >> 2
    const shift = (seq & 3) * 2
    const byte = page.bits[at] as number
    const code = codes[outcome]
    const known = (byte >> shift) & 3
    page.bits[at] = (byte & ~(3 << shift)) | (code << shift)
    page.marked += (code === 0 ? 0 : 1) - (known === 0 ? 0 : 1)
    if (page.marked === 0) this.pages.delete(pageNo)
  }

  /** The outcome of a sequence that was issued and is not live; `unknown` when it was too long ago. */
  get(seq: Seq): Outcome | 'unknown' {
    if (seq < this.floor) return 'unknown'
    const page = this.pages.get(Math.floor(seq / PAGE_SEQS))
    if (page === undefined) return 'completed'
    const byte = page.bits[(seq % PAGE_SEQS) >> 2] as number
    return names[(byte >> ((seq & 3) * 2)) & 3] as Outcome
  }

  /** Sequences before it become unknown, unless they live. */
  forgetBefore(seq: Seq): void {
    this.floor = Math.max(this.floor, seq)
    for (const pageNo of this.pages.keys()) {
      if ((pageNo + 1) * PAGE_SEQS <= this.floor) this.pages.delete(pageNo)
    }
  }

  /** What was before it is unknown. */
  get knownFrom(): Seq {
    return this.floor
  }

  /** Each job that did not complete. */
  eachOther(each: (seq: Seq, outcome: Outcome) => void): void {
    for (const pageNo of this.pages.keys()) {
      for (let seq = pageNo * PAGE_SEQS; seq < (pageNo + 1) * PAGE_SEQS; seq++) {
        const outcome = this.get(seq)
        if (outcome !== 'completed' && outcome !== 'unknown') each(seq, outcome)
      }
    }
  }

  /**
   *   floor | pages | per page: number | marked | marked × (steps from the one before * 4 + code), or all its bits
   */
  write(w: RecordWriter): void {
    w.uint(this.floor).uint(this.pages.size)
    for (const [pageNo, { bits, marked }] of this.pages) {
      w.uint(pageNo).uint(marked)
      if (marked > LISTED_MAX) {
        w.raw(bits, 0, bits.length)
        continue
      }
      let last = 0
      for (let seq = 0; seq < PAGE_SEQS; seq++) {
        const code = ((bits[seq >> 2] as number) >> ((seq & 3) * 2)) & 3
        if (code === 0) continue
        w.uint((seq - last) * 4 + code)
        last = seq
      }
    }
  }

  read(r: RecordReader): void {
    this.floor = r.uint()
    for (let left = r.uint(); left > 0; left--) {
      const pageNo = r.uint()
      const marked = r.uint()
      const bits = new Uint8Array(PAGE_SEQS / 4)
      if (marked > LISTED_MAX) {
        bits.set(r.raw())
      } else {
        for (let seq = 0, i = 0; i < marked; i++) {
          const cell = r.uint()
          seq += cell >> 2
          bits[seq >> 2] = (bits[seq >> 2] as number) | ((cell & 3) << ((seq & 3) * 2))
        }
      }
      this.pages.set(pageNo, { bits, marked })
      this.lowestPageNo = Math.min(this.lowestPageNo, pageNo)
    }
  }

  /** Null when the page would itself be the oldest of too many: then it is what is dropped. */
  private open(pageNo: number): OutcomePage | null {
    const page = { bits: new Uint8Array(PAGE_SEQS / 4), marked: 0 }
    this.pages.set(pageNo, page)
    this.lowestPageNo = Math.min(this.lowestPageNo, pageNo)
    if (this.pages.size <= this.pagesMax) return page
    while (!this.pages.delete(this.lowestPageNo)) this.lowestPageNo++
    this.lowestPageNo++
    this.floor = this.lowestPageNo * PAGE_SEQS
    return this.floor > pageNo * PAGE_SEQS ? null : page
  }
}
