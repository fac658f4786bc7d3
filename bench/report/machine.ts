// Where and of what a result was measured, so that it can be measured again.

import { execFileSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import type { Mode } from '../mode.ts'

export interface Machine {
  date: string
  commit: string
  mode: Mode['name']
  command: string
  cpuModel: string
  cores: number
  memoryGiB: number
  system: string
  node: string
  loadAverage: string
}

export function describeMachine(mode: Mode['name'], repository: string): Machine {
  return {
    date: new Date().toISOString(),
    commit: commitOf(repository),
    mode,
    command: ['node', 'dist-bench/run.js', ...process.argv.slice(2)].join(' '),
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.version,
    loadAverage: (loadavg()[0] ?? 0).toFixed(2),
  }
}

/** `-dirty` when the work tree differs from the commit. */
function commitOf(repository: string): string {
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', repository, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim()
  try {
    const commit = git('rev-parse', '--short', 'HEAD')
    return git('status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit}-dirty`
  } catch {
    return 'no-commit'
  }
}
