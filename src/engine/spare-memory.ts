// The memory of a worker's shards: pieces that were given up, kept for the next one who needs some, and fresh ones.
//
//   extent   [ piece | piece | piece | …                    never touched ]      64 to 256 MiB
//              in use  spare   in use
//
// 1. Memory that the process has had before is several times quicker than fresh memory, whose every page the
//    kernel must find and clear at its first touch (measured for a 90-byte payload: 3 ns against 11 to 63 ns).
// 2. Fresh pieces are cut from extents: V8 marks its whole heap each time that 64 MiB were allocated beside it, which took
//    a third of the time of a server that grew quickly. What is not cut yet is address space, and no memory.
// 3. Beyond the bound an extent goes back to the system, as a whole, when none of its pieces is in use. Pieces that have
//    none (of a size of their own, of tests) go back one by one.

const MIB = 1024 * 1024
const BYTES_MAX_USUAL = 16 * MIB
const EXTENT_BYTES_MIN = 64 * MIB
export const EXTENT_BYTES_MAX = 256 * MIB

/** What has its place in some memory. */
export interface Piece {
  readonly buffer: ArrayBufferLike
}

interface Extent {
  readonly memory: ArrayBuffer
  cutBytes: number
  /** Pieces that somebody has. */
  inUse: number
}

/** `Page`: a page of a job store, of `pageBytes`. */
export class SpareMemory<Page extends Piece> {
  /** Kept now. */
  bytes = 0
  /** How often a store that grows large took memory; whoever makes memory ready sets it back. */
  largeTakes = 0
  private readonly pageBytes: number
  private readonly bytesMax: number
  private readonly extentBytesMax: number
  private slabs: Buffer[] = []
  private pages: Page[] = []
  private readonly extents = new Map<ArrayBufferLike, Extent>()
  private current: Extent | null = null

  /** `extentBytesMax`: 0 where each piece is memory of its own. */
  constructor(pageBytes: number, bytesMax: number = BYTES_MAX_USUAL, extentBytesMax = 0) {
    this.pageBytes = pageBytes
    this.bytesMax = bytesMax
    this.extentBytesMax = extentBytesMax
  }

  /** How much more would be kept, in bytes. */
  get room(): number {
    return this.bytesMax - this.bytes
  }

  /**
   * What counts as memory in use. What is kept beyond the bound does not: it is there for the next job, and who
   * takes it makes this process no larger.
   */
  get boundBytes(): number {
    return Math.min(this.bytes, this.bytesMax)
  }

  get slabCount(): number {
    return this.slabs.length
  }

  get pageCount(): number {
    return this.pages.length
  }

  /** Memory of the system that pieces were or will be cut from, in bytes. */
  get extentBytes(): number {
    let bytes = 0
    for (const { memory } of this.extents.values()) bytes += memory.byteLength
    return bytes
  }

  /** Fresh memory, all zero; given back as one slab, or as `pages` pages. */
  cut(bytes: number, pages = 1): Buffer {
    if (bytes > this.extentBytesMax) return Buffer.from(new ArrayBuffer(bytes))
    let extent = this.current
    if (extent === null || extent.cutBytes + bytes > extent.memory.byteLength) {
      extent = this.openExtent()
    }
    const from = extent.cutBytes
    extent.cutBytes += bytes
    extent.inUse += pages
    return Buffer.from(extent.memory, from, bytes)
  }

  giveSlab(slab: Buffer): void {
    if (!this.keeps(slab, slab.length)) return
    this.bytes += slab.length
    this.slabs.push(slab)
    this.mayRelease(slab)
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
      this.taken(slab, slab.length)
      return slab
    }
    return undefined
  }

  /** A page without a live row. */
  givePage(page: Page): void {
    if (!this.keeps(page, this.pageBytes)) return
    this.bytes += this.pageBytes
    this.pages.push(page)
    this.mayRelease(page)
  }

  takePage(): Page | undefined {
    const page = this.pages.pop()
    if (page !== undefined) this.taken(page, this.pageBytes)
    return page
  }

  private openExtent(): Extent {
    const half = Math.floor(this.extentBytes / 2)
    const bytes = Math.min(this.extentBytesMax, Math.max(EXTENT_BYTES_MIN, half))
    const extent = { memory: new ArrayBuffer(bytes), cutBytes: 0, inUse: 0 }
    this.extents.set(extent.memory, extent)
    this.current = extent
    return extent
  }

  private taken(piece: Piece, bytes: number): void {
    this.bytes -= bytes
    const extent = this.extents.get(piece.buffer)
    if (extent !== undefined) extent.inUse++
  }

  /** A piece of an extent is kept whatever the bound: nobody else could have it. */
  private keeps({ buffer }: Piece, bytes: number): boolean {
    const extent = this.extents.get(buffer)
    if (extent !== undefined) extent.inUse--
    return extent !== undefined || this.bytes + bytes <= this.bytesMax
  }

  private mayRelease({ buffer }: Piece): void {
    const extent = this.extents.get(buffer)
    if (this.bytes <= this.bytesMax || extent === undefined) return
    if (extent.inUse > 0 || extent === this.current) return
    this.extents.delete(buffer)
    this.slabs = this.slabs.filter((slab) => slab.buffer !== buffer)
    this.pages = this.pages.filter((page) => page.buffer !== buffer)
    const slabBytes = this.slabs.reduce((sum, slab) => sum + slab.length, 0)
    this.bytes = slabBytes + this.pages.length * this.pageBytes
  }
}
