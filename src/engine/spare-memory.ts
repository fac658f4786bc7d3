// Memory that was given up, kept for the next one who needs some: shared by the shards of a worker.
//
// Memory that the process has had before is several times quicker than fresh memory, whose every page the
// kernel must find and clear at its first touch (measured for a 90-byte payload: 3 ns against 11 to 63 ns). What is
// beyond the bound goes back to the system.

const BYTES_MAX_USUAL = 16 * 1024 * 1024

/** `Page`: a page of a job store, of `pageBytes`. */
export class SpareMemory<Page> {
  /** Kept now. */
  bytes = 0
  /** How often a store that grows large took memory; whoever makes memory ready sets it back. */
  largeTakes = 0
  private readonly bytesMax: number
  private readonly slabs: Buffer[] = []
  private readonly pages: Page[] = []
  private readonly pageBytes: number

  constructor(pageBytes: number, bytesMax: number = BYTES_MAX_USUAL) {
    this.pageBytes = pageBytes
    this.bytesMax = bytesMax
  }

  giveSlab(slab: Buffer): void {
    if (this.bytes + slab.length > this.bytesMax) return
    this.bytes += slab.length
    this.slabs.push(slab)
  }

  /** How much more would be kept, in bytes. */
  get room(): number {
    return this.bytesMax - this.bytes
  }

  get slabCount(): number {
    return this.slabs.length
  }

  get pageCount(): number {
    return this.pages.length
  }

  /**
   * Of any size that holds `bytesMin`, the one that was given last; undefined when there is none. `isLarge`: the
   * store is, and will soon want more.
   */
  takeSlab(bytesMin: number, isLarge: boolean): Buffer | undefined {
    if (isLarge) this.largeTakes++
    const { slabs } = this
    for (let at = slabs.length - 1; at >= 0; at--) {
      const slab = slabs[at] as Buffer
      if (slab.length < bytesMin) continue
      slabs.splice(at, 1)
      this.bytes -= slab.length
      return slab
    }
    return undefined
  }

  /** A page without a live row. */
  givePage(page: Page): void {
    if (this.bytes + this.pageBytes > this.bytesMax) return
    this.bytes += this.pageBytes
    this.pages.push(page)
  }

  takePage(): Page | undefined {
    const page = this.pages.pop()
    if (page !== undefined) this.bytes -= this.pageBytes
    return page
  }
}
