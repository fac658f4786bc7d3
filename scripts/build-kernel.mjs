// Compiles the scanning kernel: node scripts/build-kernel.mjs [--check]
//
//   src/transports/wire/kernel/*.as.ts  →  src/transports/wire/kernel-bytes.ts
//
// What it makes is committed, so that building and installing need no compiler. With --check it writes nothing and
// fails when the two differ; a test runs that.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import asc from 'assemblyscript/asc'

const FOLDER = 'src/transports/wire'
const OUTPUT = join(FOLDER, 'kernel-bytes.ts')
/** Of 64 KiB; `scan-kernel.ts` needs as many, and checks. */
const PAGES = 89

const options = [
  ...['main.as.ts', '--baseDir', join(FOLDER, 'kernel'), '--outFile', 'main.wasm'],
  ...['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--use', 'abort='],
  ...['--initialMemory', String(PAGES), '--maximumMemory', String(PAGES)],
  ...['--disableWarning', '201'],
]
let bytes = null
const { error, stderr } = await asc.main(options, {
  writeFile: (_name, contents) => {
    bytes = contents
  },
})
if (error !== null || bytes === null) throw new Error(`${error?.message}\n${stderr}`)

const text = `// Made by scripts/build-kernel.mjs (make kernel) from kernel/*.as.ts: not to be edited.

/** A WebAssembly module, in base64. */
export const kernelBase64 =
  '${Buffer.from(bytes).toString('base64')}'
`
if (!process.argv.includes('--check')) {
  writeFileSync(OUTPUT, text)
  console.log(`${OUTPUT}: ${bytes.length} bytes of WebAssembly`)
} else if (readFileSync(OUTPUT, 'utf8') !== text) {
  console.error(`${OUTPUT} is not what its sources compile to: make kernel`)
  process.exitCode = 1
}
