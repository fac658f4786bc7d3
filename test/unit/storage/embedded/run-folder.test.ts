import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { hasOwner, RunFolder } from '../../../../src/storage/embedded/run-folder.ts'

describe('the run folder', () => {
  it('is private, has its owner while that lives, and goes with it', async () => {
    const folder = await RunFolder.make(null)
    expect(statSync(folder.path).mode & 0o777).toBe(0o700)
    expect(await hasOwner(folder.path)).toBe(true)
    await folder.remove()
    expect(existsSync(folder.path)).toBe(false)
    expect(await hasOwner(folder.path)).toBeNull()
  })

  it('is named by its URL in a way that every parser takes', async () => {
    const folder = await RunFolder.make(null)
    onTestFinished(() => folder.remove())
    const url = new URL(folder.url)
    expect(decodeURIComponent(url.hostname)).toBe(folder.path)
    expect(url).toMatchObject({ protocol: 'postgresql:', username: 'flashq', port: '5432' })
  })

  it('is short, however deep the folder for temporary files is', async () => {
    const before = process.env['TMPDIR']
    const parent = mkdtempSync(join(tmpdir(), 'flashq-test-'))
    const deep = join(parent, 'x'.repeat(100))
    mkdirSync(deep)
    process.env['TMPDIR'] = deep
    onTestFinished(() => {
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
      rmSync(parent, { recursive: true, force: true })
    })
    const folder = await RunFolder.make(null)
    onTestFinished(() => folder.remove())
    expect(folder.path).toMatch(/^\/tmp\/flashq-.{6}$/)
  })
})
