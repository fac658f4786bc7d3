import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderInTheWay, nobody } from '../../../../src/storage/embedded/account.ts'

describe('the account that runs PostgreSQL', () => {
  it('is nobody, whatever ids the system gives to it', () => {
    const root = 'root:x:0:0:root:/root:/bin/bash\n'
    expect(nobody(`${root}nobody:x:65534:65534:nobody:/:/bin/false\n`)).toEqual({
      uid: 65_534,
      gid: 65_534,
    })
    expect(nobody(`##\nnobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n`)).toEqual({
      uid: -2,
      gid: -2,
    })
    expect(nobody(root)).toEqual({ uid: 65_534, gid: 65_534 })
  })

  it('cannot reach what is below a closed folder, and the outermost one is named', () => {
    const open = realpathSync(mkdtempSync(join(tmpdir(), 'flashq-test-')))
    onTestFinished(() => rmSync(open, { recursive: true, force: true }))
    const closed = join(open, 'closed')
    mkdirSync(join(closed, 'below'), { recursive: true })
    chmodSync(join(closed, 'below'), 0o700)
    const stranger = { uid: 4_000_000, gid: 4_000_000 }
    chmodSync(open, 0o711)
    chmodSync(closed, 0o711)
    expect(folderInTheWay(join(closed, 'file'), stranger)).toBeNull()
    expect(folderInTheWay(join(closed, 'below', 'file'), stranger)).toBe(join(closed, 'below'))
    chmodSync(closed, 0o766)
    expect(folderInTheWay(join(closed, 'file'), stranger)).toBe(closed)
    expect(folderInTheWay(join(closed, 'below', 'file'), stranger)).toBe(closed)
    const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
    expect(folderInTheWay(join(closed, 'below', 'file'), own)).toBeNull()
    expect(folderInTheWay(join(closed, 'below', 'file'), null)).toBeNull()
  })
})
