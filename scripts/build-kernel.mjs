// Compiles the kernels: node scripts/build-kernel.mjs [--check]
//
//   src/transports/wire/kernel/*.as.ts  →  src/transports/wire/kernel-bytes.ts    scans jobs
//   src/storage/lz/kernel/*.as.ts       →  src/storage/lz/kernel-bytes.ts         packs batches
//
// What it makes is committed, so that building and installing need no compiler. With --check it writes nothing and
// fails when the two differ; a test runs that.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import asc from 'assemblyscript/asc'

/** Pages of 64 KiB; `scan-kernel.ts` and `lz-kernel.ts` need as many, and check. */
const KERNELS = [
  { folder: 'src/transports/wire', pages: 89 },
  { folder: 'src/storage/lz', pages: 3 },
]

for (const { folder, pages } of KERNELS) {
  const output = join(folder, 'kernel-bytes.ts')
  const bytes = await compiled(folder, pages)
  const text = `// Made by scripts/build-kernel.mjs (make kernel) from kernel/*.as.ts: not to be edited.

/** A WebAssembly module, in base64. */
export const kernelBase64 =
  '${Buffer.from(bytes).toString('base64')}'
`
  if (!process.argv.includes('--check')) {
    writeFileSync(output, text)
    console.log(`${output}: ${bytes.length} bytes of WebAssembly`)
  } else if (readFileSync(output, 'utf8') !== text) {
    console.error(`${output} is not what its sources compile to: make kernel`)
    process.exitCode = 1
  }
}

async function compiled(folder, pages) {
  const options = [
    ...['main.as.ts', '--baseDir', join(folder, 'kernel'), '--outFile', 'main.wasm'],
    ...['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--use', 'abort='],
    ...['--initialMemory', String(pages), '--maximumMemory', String(pages)],
    ...['--disableWarning', '201'],
  ]
  let bytes = null
  const { error, stderr } = await asc.main(options, {
    writeFile: (_name, contents) => {
      bytes = contents
    },
  })
  if (error !== null || bytes === null) throw new Error(`${error?.message}\n${stderr}`)
  return bytes
}
