// Which worker owns which shard: pure functions over a table of owners.
//
//   owners[shard] = worker index, or NOBODY
//
// 1. Sticky: a shard whose owner lives stays where it is. In memory mode a move would lose its jobs.
// 2. Balanced: what has no owner goes to whoever has least, so that after a first assignment, and after
//    any number of deaths, no worker has more than it must.

export const NOBODY = -1

/**
 * The owners after every shard without a live owner has got one of the `takers`, who live too; NOBODY when there is
 * none.
 */
export function fillGaps(
  owners: readonly number[],
  live: readonly number[],
  takers: readonly number[] = live,
): number[] {
  const shares = sharesOf(owners, takers)
  return owners.map((owner) => {
    if (live.includes(owner)) return owner
    const next = leastLoaded(shares)
    if (next !== NOBODY) shares.set(next, (shares.get(next) ?? 0) + 1)
    return next
  })
}

/** How many shards each worker should give up so that all live workers have nearly the same; those of 0 left out. */
export function surpluses(owners: readonly number[], live: readonly number[]): Map<number, number> {
  const result = new Map<number, number>()
  if (live.length === 0) return result
  const fair = Math.floor(owners.length / live.length)
  // So many workers keep one more than the others: those that have most already.
  let withOneMore = owners.length - fair * live.length
  const byShare = [...sharesOf(owners, live)].sort((a, b) => b[1] - a[1] || a[0] - b[0])
  for (const [worker, share] of byShare) {
    const keeps = share > fair && withOneMore > 0 ? fair + 1 : fair
    if (keeps > fair) withOneMore--
    if (share > keeps) result.set(worker, share - keeps)
  }
  return result
}

function sharesOf(owners: readonly number[], live: readonly number[]): Map<number, number> {
  const shares = new Map<number, number>(live.map((worker) => [worker, 0]))
  for (const owner of owners) {
    const share = shares.get(owner)
    if (share !== undefined) shares.set(owner, share + 1)
  }
  return shares
}

function leastLoaded(shares: ReadonlyMap<number, number>): number {
  let least = NOBODY
  let leastShare = Number.POSITIVE_INFINITY
  for (const [worker, share] of shares) {
    if (share < leastShare || (share === leastShare && worker < least)) {
      least = worker
      leastShare = share
    }
  }
  return least
}
