// Other runtimes of JavaScript, from their npm packages, below `.cache/runtimes`.
//
// They are fetched once, and only their binaries are used. Where that is not possible the reason is told, and whoever
// asked goes without.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type Runtime = { readonly command: readonly string[] } | { readonly missing: string }

const FOLDER = fileURLToPath(new URL('../../.cache/runtimes/', import.meta.url))
const PACKAGES = ['bun@1.4.5', 'deno@2.9.6']
const INSTALL_MS_MAX = 60_000
const ARCH = process.arch === 'arm64' ? 'arm64' : 'x64'

/** Fetches both when one is not there yet. */
export function findRuntimes(): { bun: Runtime; deno: Runtime } {
  const [bun, deno] = [bunPath(), denoPath()]
  const problem = [bun, deno].every((path) => existsSync(path)) ? '' : install()
  const found = (path: string, args: readonly string[]): Runtime => {
    if (problem !== '' || !existsSync(path)) return { missing: problem || `no ${path}` }
    const runs = spawnSync(path, ['--version']).status === 0
    return runs ? { command: [path, ...args] } : { missing: `${path} does not run here` }
  }
  return {
    bun: found(bun, []),
    deno: found(deno, ['run', '--quiet', '--allow-net', '--allow-read', '--allow-env']),
  }
}

function bunPath(): string {
  return join(FOLDER, `node_modules/@oven/bun-${process.platform}-${ARCH}/bin/bun`)
}

function denoPath(): string {
  const libc = process.platform === 'linux' ? '-glibc' : ''
  return join(FOLDER, `node_modules/@deno/${process.platform}-${ARCH}${libc}/deno`)
}

/** What went wrong, or nothing. */
function install(): string {
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(join(FOLDER, 'package.json'), '{"private":true}')
  const flags = [
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--fetch-retries=0',
  ]
  const run = spawnSync('npm', ['install', ...flags, ...PACKAGES], {
    cwd: FOLDER,
    encoding: 'utf8',
    timeout: INSTALL_MS_MAX,
  })
  if (run.status === 0) return ''
  return `npm can't fetch ${PACKAGES.join(' and ')}: ${run.stderr.trim().split('\n').at(-1) ?? run.error}`
}
