// A folder that is gone after the tests of the file (or `describe`) that it was made in.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flashq-test-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
