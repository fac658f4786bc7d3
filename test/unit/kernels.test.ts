import { execFileSync } from 'node:child_process'
import { it } from 'vitest'

it('the kernels are compiled from their sources', () => {
  execFileSync(process.execPath, ['scripts/build-kernel.mjs', '--check'])
})
