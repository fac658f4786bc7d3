// What the kernel has found becomes rows of the job table and cells of a list of ids.
//
// 1. After a call, `stoppedAt()` and `stopped()` of scan-kernel.ts say where the scan in JavaScript goes on, and how.
// 2. The kernel's cells are overwritten by its next call, so they are copied. Its rows are those of the table.

import {
  INT_STRIDE,
  IntColumn,
  JobFlag,
  type JobTable,
  NUM_STRIDE,
} from '../../engine/job-table.ts'
import { limits } from '../../engine/limits.ts'
import { noteHighBytes, skipValue } from './json-scanner.ts'
import {
  idCells,
  NO_PLACE,
  placeWithin,
  rowCells,
  Stopped,
  sawFlags,
  sawHigh,
  scanIdCells,
  scanRows,
  skipInKernel,
  stopped,
  VALUES_STRIDE,
  valueCells,
  valueLimits,
} from './scan-kernel.ts'

/** Options in the order of their flags, which is also that of the columns of `nums` from the second one on. */
const { delayMsMax, ttlMsMax, timeoutMsMax, attemptsMax, backoffMsMax } = limits
const INT32_MAX = 0x7fff_ffff
const optionMaxima = [INT32_MAX, delayMsMax, ttlMsMax, timeoutMsMax, attemptsMax, backoffMsMax]
valueLimits.set(optionMaxima.map((max) => Math.min(max, INT32_MAX)))

/**
 * Jobs from the one that starts at `from` become rows from `row` on. Returns how many rows there are now. Of a job
 * that it stopped in (`Stopped.behindData`), the row after these has the extent of `data` and no flags.
 */
export function takeJobs(
  place: number,
  from: number,
  to: number,
  table: JobTable,
  row: number,
): number {
  const rows = scanRows(place, from, to, row)
  const isWithin = stopped() === Stopped.behindData
  const end = isWithin ? rows + 1 : rows
  table.ints.set(rowCells.subarray(row * INT_STRIDE, end * INT_STRIDE), row * INT_STRIDE)
  if (isWithin) table.ints[rows * INT_STRIDE + IntColumn.flags] = 0
  const flags = sawFlags()
  if (flags !== 0) {
    table.flagsSeen |= flags
    for (let n = row; n < rows; n++) takeOptions(table, n)
  }
  if (sawHigh()) noteHighBytes()
  return rows
}

function takeOptions({ ints, nums }: JobTable, row: number): void {
  const flags = ints[row * INT_STRIDE + IntColumn.flags] as number
  for (let rest = flags; rest !== 0; rest &= rest - 1) {
    const option = 31 - Math.clz32(rest & -rest)
    const value = valueCells[row * VALUES_STRIDE + option] as number
    if (1 << option === JobFlag.priority) ints[row * INT_STRIDE + IntColumn.priority] = value
    else nums[row * NUM_STRIDE + option - 1] = value
  }
}

/** What `skipValue` returns for a value that may be long; in the kernel where that needs no copy. */
export function skipLong(bytes: Buffer, start: number, to: number): number {
  const place = placeWithin(bytes)
  if (place !== NO_PLACE) {
    const end = skipInKernel(place, start, to, limits.jsonDepthMax)
    if (sawHigh()) noteHighBytes()
    if (end >= 0) return end
  }
  return skipValue(bytes, start, to, limits.jsonDepthMax)
}

/** Ids from the one that starts at `from`. Returns how many. */
export function takeIds(place: number, from: number, to: number, into: Float64Array): number {
  const count = scanIdCells(place, from, to)
  into.set(idCells.subarray(0, count))
  return count
}
