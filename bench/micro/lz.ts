// What packing a batch costs and brings: ns per KiB of records and MB/s, there and back, and the ratio; zlib's level 1 beside it.
//
//   npx tsc -p tsconfig.json --outDir dist-bench && node dist-bench/bench/micro/lz.js [--tiny]
//
// The records are what a shard records of PUSHB x 1,000 and of PUSH; docs/adr/0009-compressed-batches.md has figures.

import { fileURLToPath } from 'node:url'
import { deflateRawSync } from 'node:zlib'
import { ByteWriter } from '../../src/engine/byte-writer.ts'
import { useLzKernel } from '../../src/storage/lz/lz-kernel.ts'
import { packInto } from '../../src/storage/lz/pack.ts'
import { unpackInto } from '../../src/storage/lz/unpack.ts'
import { RecordBatchWriter } from '../../src/storage/record-batch.ts'
import { isTiny, type Measurement, measure } from './harness.ts'
import { largeData, shapedData, smallData, variedData } from './job-data.ts'

const JOBS = 1000
const KIB = 1024

export function benchLz(tiny: boolean): Measurement[] {
  return [...cases()].flatMap(([name, plain]) => [
    ...benchBytes(name, plain, tiny),
    ...benchBatch(name, plain, tiny),
  ])
}

function benchBytes(name: string, plain: Buffer, tiny: boolean): Measurement[] {
  const kib = plain.length / KIB
  const packed = new ByteWriter()
  const pack = (): void => {
    packed.length = 0
    packInto(packed, plain, 0, plain.length)
  }
  const packing = measure(`${name}: pack`, kib, pack, { tiny })
  report(packing, plain, packed.length)
  const measured = [packing]
  if (packed.length > 0) {
    const from = packed.toBuffer()
    const unpack = (): void => {
      if (!unpackInto(Buffer.allocUnsafeSlow(plain.length), 0, from, 0)) throw new Error('damaged')
    }
    measured.push(measure(`${name}: unpack`, kib, unpack, { tiny }))
    useLzKernel(false)
    measured.push(measure(`${name}: unpack in JavaScript`, kib, unpack, { tiny }))
    useLzKernel(true)
  }
  const deflate = (): Buffer => deflateRawSync(plain, { level: 1 })
  const deflating = measure(`${name}: zlib, level 1`, kib, deflate, { tiny })
  report(deflating, plain, deflate().length)
  return [...measured, deflating]
}

/** With everything: gathered, packed, checksum. */
function benchBatch(name: string, record: Buffer, tiny: boolean): Measurement[] {
  const writer = new RecordBatchWriter()
  const run = (): void => {
    writer.clear()
    writer.append(record)
    writer.seal()
  }
  return [measure(`${name}: as a batch`, record.length / KIB, run, { tiny })]
}

function report({ nsPerOperation }: Measurement, plain: Buffer, packed: number): void {
  const speed = Math.round((KIB / nsPerOperation) * 1000)
  const ratio = packed === 0 ? 'left as it is' : `${(plain.length / packed).toFixed(1)} : 1`
  console.log(`  ${speed} MB/s, ${plain.length} bytes, ${ratio}`)
}

function cases(): Map<string, Buffer> {
  let random = 1
  const randomBytes = Buffer.from(
    Array.from({ length: 96 * KIB }, () => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
      return random >>> 16
    }),
  )
  return new Map([
    ['PUSHB of jobs of 72 bytes', batch(smallData)],
    ['PUSHB of jobs of 398 bytes', batch(largeData)],
    ['PUSHB, of all lengths', batch(variedData)],
    ['PUSHB, of four shapes', batch(shapedData)],
    ['random bytes', randomBytes],
    ['PUSH of 150 bytes', Buffer.from(JSON.stringify(largeData(7)).slice(0, 150))],
  ])
}

/** The frame's jobs, as they are recorded. */
function batch(data: (n: number) => object): Buffer {
  return Buffer.from(JSON.stringify(Array.from({ length: JOBS }, (_, n) => ({ data: data(n) }))))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) benchLz(isTiny())
