// Gets the peers from the package registries into `bench/.cache/`, which git ignores: nothing is added to the product.
//
//   bench/.cache/debs/   what apt-get downloaded       bench/.cache/root/   the same, unpacked (never installed)
//   bench/.cache/npm-postgres/   pg-boss, graphile-worker, and the Node that they need
//   bench/.cache/npm/    bullmq, ioredis, bunqueue, bun with a package.json of their own; their install scripts do not run
//
// A peer that cannot be had is a sentence that says why, for the table.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type Installed<T> = { ok: true; peer: T } | { ok: false; reason: string }

export interface NativePeers {
  beanstalkd: string
  redis: string
  libraries: string
}

export interface NpmPeers {
  modules: string
  bun: string
}

/** For the durable scenarios. */
export interface PostgresPeers {
  modules: string
  /** They need a newer Node than the product. */
  node: string
}

const debs = ['beanstalkd', 'redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1']
const npmPackages = ['bullmq@6.7.0', 'ioredis@6.0.0', 'bunqueue@2.9.5', 'bun@1.4.5']
const nodePackage = `node-${process.platform}-${process.arch}`
const postgresPackages = ['pg-boss@12.38.0', 'graphile-worker@0.18.0', `${nodePackage}@24.21.0`]
const installMs = 5 * 60_000

export function nativePeers(cache: string): Installed<NativePeers> {
  const root = join(cache, 'root')
  const peer = {
    beanstalkd: join(root, 'usr/bin/beanstalkd'),
    redis: join(root, 'usr/bin/redis-server'),
    libraries: libraryFolders(root),
  }
  if (existsSync(peer.beanstalkd) && existsSync(peer.redis)) return { ok: true, peer }
  try {
    const folder = join(cache, 'debs')
    mkdirSync(folder, { recursive: true })
    mkdirSync(root, { recursive: true })
    downloadDebs(folder)
    for (const deb of readdirSync(folder).filter((name) => name.endsWith('.deb')))
      run('dpkg', ['-x', join(folder, deb), root], cache)
    return { ok: true, peer: { ...peer, libraries: libraryFolders(root) } }
  } catch (cause) {
    return {
      ok: false,
      reason: `apt-get download ${debs.join(' ')} and dpkg -x into ${root} did not work (${firstLine(cause)})`,
    }
  }
}

export function npmPeers(cache: string): Installed<NpmPeers> {
  const folder = join(cache, 'npm')
  const modules = join(folder, 'node_modules')
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x64'
  const peer = { modules, bun: join(modules, `@oven/bun-${process.platform}-${arch}/bin/bun`) }
  if (existsSync(join(modules, 'bunqueue')) && existsSync(join(modules, 'bullmq')))
    return { ok: true, peer }
  const reason = npmInstall(folder, npmPackages)
  return reason === undefined ? { ok: true, peer } : { ok: false, reason }
}

export function postgresPeers(cache: string): Installed<PostgresPeers> {
  const folder = join(cache, 'npm-postgres')
  const modules = join(folder, 'node_modules')
  const peer = { modules, node: join(modules, nodePackage, 'bin/node') }
  if (existsSync(join(modules, 'pg-boss')) && existsSync(peer.node)) return { ok: true, peer }
  const reason = npmInstall(folder, postgresPackages)
  return reason === undefined ? { ok: true, peer } : { ok: false, reason }
}

/** Why it did not work, or undefined. */
function npmInstall(folder: string, packages: readonly string[]): string | undefined {
  try {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"name":"flashq-bench-peers","private":true}\n')
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund']
    run('npm', ['install', '--prefix', folder, ...flags, ...packages], folder)
    return undefined
  } catch (cause) {
    return `npm install --prefix ${folder} ${packages.join(' ')} did not work (${firstLine(cause)})`
  }
}

function downloadDebs(folder: string): void {
  try {
    run('apt-get', ['download', ...debs], folder)
  } catch {
    // The package lists may be missing or old.
    run('apt-get', ['update'], folder)
    run('apt-get', ['download', ...debs], folder)
  }
}

/** Where the unpacked packages keep their shared libraries, as LD_LIBRARY_PATH wants it. */
function libraryFolders(root: string): string {
  return ['usr/lib', 'lib']
    .map((name) => join(root, name))
    .filter((path) => existsSync(path))
    .flatMap((path) => readdirSync(path).map((name) => join(path, name)))
    .filter((path) => path.endsWith('-linux-gnu'))
    .join(':')
}

function run(program: string, args: string[], cwd: string): void {
  execFileSync(program, args, { cwd, timeout: installMs, stdio: ['ignore', 'pipe', 'pipe'] })
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n')[0] ?? ''
}
