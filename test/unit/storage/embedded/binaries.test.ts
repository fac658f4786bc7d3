import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { restoreLinks, usableBinaries } from '../../../../src/storage/embedded/binaries.ts'

const isRoot = process.getuid?.() === 0
const LINKS = [
  { source: 'native/lib/libx.so.1.2', target: 'native/lib/libx.so.1' },
  { source: 'native/lib/libx.so.1.2', target: 'native/lib/libx.so' },
]

describe("PostgreSQL's programs", () => {
  it('get the links that their package could not hold, as often as one asks', () => {
    const folder = packageIn(tempFolder())
    for (let time = 0; time < 2; time++) {
      expect(restoreLinks(folder)).toBe(true)
      expect(readFileSync(join(folder, 'lib/libx.so.1'), 'utf8')).toBe('library')
      expect(readFileSync(join(folder, 'lib/libx.so'), 'utf8')).toBe('library')
    }
  })

  it('are used in place when that is possible', () => {
    const installed = { folder: packageIn(tempFolder()), major: 18, version: '18.4.0' }
    expect(usableBinaries(installed, null, tempFolder())).toBe(installed)
    expect(lstatSync(join(installed.folder, 'lib/libx.so')).isSymbolicLink()).toBe(true)
  })

  it.runIf(isRoot)('are copied once where their account can reach them, and given to it', () => {
    const closed = tempFolder()
    chmodSync(closed, 0o700)
    const installed = { folder: packageIn(closed), major: 18, version: '18.4.0' }
    const dataDir = tempFolder()
    const account = { uid: 65_534, gid: 65_534 }
    const used = usableBinaries(installed, account, dataDir)
    expect(used.folder).toBe(join(dataDir, 'postgresql-18.4.0'))
    expect(statSync(join(used.folder, 'bin/postgres'))).toMatchObject({ uid: 65_534 })
    expect(statSync(join(used.folder, 'bin/postgres')).mode & 0o777).toBe(0o755)
    expect(readFileSync(join(used.folder, 'lib/libx.so.1'), 'utf8')).toBe('library')
    writeFileSync(join(used.folder, 'bin/postgres'), 'kept')
    expect(usableBinaries(installed, account, dataDir)).toEqual(used)
    expect(readFileSync(join(used.folder, 'bin/postgres'), 'utf8')).toBe('kept')
  })

  it.skipIf(isRoot)('are copied when their folder cannot be written to', () => {
    const installed = { folder: packageIn(tempFolder()), major: 18, version: '18.4.0' }
    chmodSync(join(installed.folder, 'lib'), 0o555)
    onTestFinished(() => chmodSync(join(installed.folder, 'lib'), 0o755))
    const used = usableBinaries(installed, null, tempFolder())
    expect(used.folder).not.toBe(installed.folder)
    expect(readFileSync(join(used.folder, 'lib/libx.so.1'), 'utf8')).toBe('library')
  })
})

function packageIn(root: string): string {
  const folder = join(root, 'native')
  mkdirSync(join(folder, 'bin'), { recursive: true })
  mkdirSync(join(folder, 'lib'))
  writeFileSync(join(folder, 'bin/postgres'), 'program', { mode: 0o755 })
  writeFileSync(join(folder, 'lib/libx.so.1.2'), 'library')
  writeFileSync(join(folder, 'pg-symlinks.json'), JSON.stringify(LINKS))
  return folder
}

function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flashq-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
