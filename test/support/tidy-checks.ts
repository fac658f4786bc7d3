// The rules of the house that neither the compiler nor the linter checks.
//
// Each check is a function from sources (path → text) to a list of complaints, so that it can be
// tried on made-up sources before it is trusted on the real ones: test/tidy.test.ts does both.

import { dirname, join, normalize } from 'node:path'

export type Sources = ReadonlyMap<string, string>

interface Layer {
  readonly folders: readonly string[]
  readonly modules: readonly string[]
}

/** Each folder of src, and what it may import besides itself. What is not listed is forbidden.
 *  `src/*.ts` is the composition root: the one place that knows every folder. */
const LAYERS: Readonly<Record<string, Layer>> = {
  'src/engine/': { folders: [], modules: ['croner', 'node:buffer', 'node:crypto'] },
  'src/storage/': {
    folders: ['src/engine/'],
    modules: [
      'node:buffer',
      'node:child_process',
      'node:crypto',
      'node:events',
      'node:fs',
      'node:fs/promises',
      'node:module',
      'node:net',
      'node:os',
      'node:path',
      'node:readline',
      'node:stream',
      'node:stream/promises',
      'node:timers/promises',
      'node:url',
      'node:worker_threads',
      'node:zlib',
      'pg',
      'pg-copy-streams',
    ],
  },
  'src/cluster/': {
    folders: ['src/engine/'],
    modules: [
      'node:cluster',
      'node:crypto',
      'node:fs',
      'node:net',
      'node:os',
      'node:path',
      'node:process',
      'node:v8',
    ],
  },
  'src/transports/': {
    folders: ['src/engine/'],
    modules: [
      'node:buffer',
      'node:crypto',
      'node:fs',
      'node:http',
      'node:http2',
      'node:https',
      'node:net',
      'node:path',
      'node:perf_hooks',
      'node:stream',
      'node:tls',
      'node:util',
      'node:v8',
      'node:worker_threads',
      '@fastify/swagger',
      '@grpc/grpc-js',
      '@grpc/proto-loader',
      'fastify',
      'https-proxy-agent',
      'prom-client',
      'ws',
    ],
  },
}

/** Paths that compute and do nothing else: the engine, and the pure parts of the other folders. */
const PURE = ['src/engine/', 'src/transports/wire/']

const IMPURE: Readonly<Record<string, RegExp>> = {
  'the clock': /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\b|\bhrtime\b/,
  chance: /\bMath\.random\b|\brandom(?:UUID|Bytes|Int|FillSync)\b|\bgetRandomValues\b/,
  'a timer': /\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bnextTick\b/,
  'the process': /\bprocess\.|\bconsole\./,
  'a promise': /\bawait\b|\basync\b|\bnew Promise\b|\bPromise\./,
}

export const FILE_LINES_MAX = 500

export function wrongWayImports(sources: Sources): string[] {
  const complaints: string[] = []
  for (const [path, text] of sources) {
    if (dirname(path) === 'src') continue
    const folder = `${path.split('/').slice(0, 2).join('/')}/`
    const layer = LAYERS[folder]
    if (layer === undefined) {
      complaints.push(`${path} is in no layer`)
      continue
    }
    for (const target of importsOf(path, text)) {
      const isOurs = [folder, ...layer.folders].some((prefix) => target.startsWith(prefix))
      if (!isOurs && !layer.modules.includes(target)) {
        complaints.push(`${path} may not import ${target}`)
      }
    }
  }
  return complaints
}

/** The client runs anywhere that Node does: it imports itself and Node, nothing else. */
export function clientImports(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) =>
    importsOf(path, text)
      .filter((target) => !target.startsWith('sdk/typescript/src/') && !target.startsWith('node:'))
      .map((target) => `${path} may not import ${target}`),
  )
}

export function importCycles(sources: Sources): string[] {
  const complaints: string[] = []
  const done = new Set<string>()
  const trail: string[] = []
  const visit = (path: string): void => {
    if (done.has(path)) return
    const start = trail.indexOf(path)
    if (start >= 0) {
      complaints.push([...trail.slice(start), path].join(' -> '))
      return
    }
    trail.push(path)
    for (const target of importsOf(path, sources.get(path) ?? '')) {
      if (sources.has(target)) visit(target)
    }
    trail.pop()
    done.add(path)
  }
  for (const path of sources.keys()) visit(path)
  return complaints
}

export function impurities(sources: Sources): string[] {
  const complaints: string[] = []
  for (const [path, text] of sources) {
    if (!PURE.some((prefix) => path.startsWith(prefix))) continue
    codeOf(text)
      .split('\n')
      .forEach((line, index) => {
        for (const [what, pattern] of Object.entries(IMPURE)) {
          if (pattern.test(line)) complaints.push(`${path}:${index + 1} uses ${what}`)
        }
      })
  }
  return complaints
}

export function oversize(sources: Sources): string[] {
  const complaints: string[] = []
  for (const [path, text] of sources) {
    const count = text.replace(/\n$/, '').split('\n').length
    if (count > FILE_LINES_MAX) complaints.push(`${path} has ${count} lines`)
  }
  return complaints
}

/** `page` is undefined when ARCHITECTURE.md does not exist. */
export function brokenTour(page: string | undefined, exists: (path: string) => boolean): string[] {
  if (page === undefined) return ['ARCHITECTURE.md is missing']
  const path = /`((?:src|sdk|test|bench|proto|docs|examples|deploy|scripts)\/[\w./-]*\w)`/g
  const stops = [...new Set([...page.matchAll(path)].map(([, stop = '']) => stop))]
  if (!stops.some((stop) => stop.startsWith('src/'))) return ['ARCHITECTURE.md names no source']
  return stops.filter((stop) => !exists(stop)).map((stop) => `ARCHITECTURE.md names ${stop}`)
}

/** A path that exists on somebody's machine only. */
export function machinePaths(sources: Sources): string[] {
  return matchingLines(
    sources,
    /(?<![\w.~-])\/(?:home|root|Users|work)\/\w/,
    'names a path of a machine',
  )
}

export function focusedTests(sources: Sources): string[] {
  return matchingLines(sources, /\b(?:it|test|describe|suite)(?:\.\w+)*\.only\b/, 'runs alone')
}

interface LockEntry {
  readonly link?: boolean
  readonly integrity?: string
  readonly resolved?: string
  readonly optional?: boolean
  readonly os?: readonly string[]
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** What `npm ci` installs must be pinned by its hash, must not say from where it came, and must
 *  name the packages of all platforms, or `npm ci` refuses it. */
export function loosePackages(lockfile: string): string[] {
  const { packages } = JSON.parse(lockfile) as { packages: Readonly<Record<string, LockEntry>> }
  return Object.entries(packages).flatMap(([path, entry]) => {
    if (!path.startsWith('node_modules/') || entry.link === true) return []
    const complaints = Object.keys(entry.optionalDependencies ?? {})
      .filter((name) => packages[`node_modules/${name}`] === undefined)
      .map((name) => `${path} lacks ${name}: node scripts/complete-lock.mjs`)
    // Of another platform's package the hash may be unknown: see scripts/complete-lock.mjs.
    const isOfPlatform = entry.optional === true && entry.os !== undefined
    if (entry.integrity === undefined && !isOfPlatform) complaints.push(`${path} has no integrity`)
    if (entry.resolved !== undefined) complaints.push(`${path} names the host it came from`)
    return complaints
  })
}

function matchingLines(sources: Sources, pattern: RegExp, complaint: string): string[] {
  return [...sources].flatMap(([path, text]) =>
    text
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${complaint}`] : [])),
  )
}

/** The text without comments and quoted strings, every line still in its place. */
function codeOf(text: string): string {
  const noise = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g
  return text.replace(noise, (match) => match.replace(/[^\n]/g, ' '))
}

/** What a source imports, by statement or by `import()`, types included: paths and module names. */
function importsOf(path: string, text: string): string[] {
  const statement = /^(?:import|export)\b(?:[^'"]*?\bfrom)?\s*['"]([^'"]+)['"]/gm
  const call = /\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]/g
  const found = [...text.matchAll(statement), ...text.matchAll(call)]
  return found
    .map(([, name = '']) => name)
    .map((name) => (name.startsWith('.') ? normalize(join(dirname(path), name)) : name))
}
