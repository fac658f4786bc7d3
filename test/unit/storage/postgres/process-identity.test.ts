import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import {
  isGone,
  ownIdentity,
  type ProcessIdentity,
} from '../../../../src/storage/postgres/process-identity.ts'

let child: ChildProcess | null = null
afterEach(() => {
  child?.kill('SIGKILL')
  child = null
})

/** The identity that such a process would have given itself. */
function identityOf(pid: number): ProcessIdentity {
  const own = ownIdentity()
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  return { ...own, pid, process: own.process.replace(/\d+$/, `${start}`) }
}

async function sleeper(): Promise<number> {
  child = spawn('sleep', ['60'])
  await once(child, 'spawn')
  return child.pid ?? 0
}

describe.runIf(existsSync('/proc/self/stat'))('a process that a node belongs to', () => {
  it('is known exactly', () => {
    const own = ownIdentity()
    expect(own.pid).toBe(process.pid)
    expect(own.process).toMatch(/^[0-9a-f-]{36}\/pid:\[\d+\]\/\d+$/)
    expect(identityOf(process.pid)).toEqual(own)
  })

  it('is gone when it was killed, and not before', async () => {
    const other = identityOf(await sleeper())
    expect(isGone(other, ownIdentity())).toBe(false)
    child?.kill('SIGSTOP')
    expect(isGone(other, ownIdentity())).toBe(false)
    child?.kill('SIGKILL')
    await once(child as ChildProcess, 'exit')
    expect(isGone(other, ownIdentity())).toBe(true)
  })

  it('is gone when its id belongs to another process by now, also to this one', async () => {
    const other = identityOf(await sleeper())
    const earlier = { ...other, process: other.process.replace(/\d+$/, '17') }
    expect(isGone(earlier, ownIdentity())).toBe(true)
    const own = ownIdentity()
    expect(isGone(own, own)).toBe(false)
    expect(isGone({ ...own, process: own.process.replace(/\d+$/, '17') }, own)).toBe(true)
  })

  it('is not said to be gone when it is of another machine, boot or container, or not known', () => {
    const own = ownIdentity()
    const dead = { ...own, pid: 2 ** 30, process: own.process.replace(/\d+$/, '17') }
    expect(isGone(dead, own)).toBe(true)
    expect(isGone({ ...dead, host: 'elsewhere' }, own)).toBe(false)
    expect(isGone({ ...dead, process: dead.process.replace(/^./, 'x') }, own)).toBe(false)
    expect(isGone({ ...dead, process: dead.process.replace(/\[\d+\]/, '[1]') }, own)).toBe(false)
    expect(isGone({ ...dead, process: '' }, own)).toBe(false)
    expect(isGone(dead, { ...own, process: '' })).toBe(false)
  })
})
