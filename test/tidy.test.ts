// The rules of the house, each tried on a bad example first: who may import whom, what the pure
// folders may not touch, how long a file may be, and what no file may contain.
// (Function length, unused code and style are the linter's and knip's.)

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  brokenTour,
  clientImports,
  FILE_LINES_MAX,
  focusedTests,
  importCycles,
  impurities,
  loosePackages,
  machinePaths,
  oversize,
  type Sources,
  wrongWayImports,
} from './support/tidy-checks.ts'

describe('tidy: the checks themselves', () => {
  it('reports an import that goes the wrong way', () => {
    const type = file('src/engine/shard.ts', "import type { Disk } from '../storage/disk.ts'\n")
    expect(wrongWayImports(type)).toEqual([
      'src/engine/shard.ts may not import src/storage/disk.ts',
    ])
    const sibling = file('src/transports/tcp/a.ts', "export { b } from '../../cluster/b.ts'\n")
    expect(wrongWayImports(sibling)).toHaveLength(1)
    const root = file('src/cluster/a.ts', "import { config } from '../config.ts'\n")
    expect(wrongWayImports(root)).toEqual(['src/cluster/a.ts may not import src/config.ts'])
  })

  it('reports a module of Node or of npm that a layer may not use', () => {
    const engine = file('src/engine/commands/push.ts', "import { readFileSync } from 'node:fs'\n")
    expect(wrongWayImports(engine)).toHaveLength(1)
    const dynamic = file('src/transports/a.ts', "const fs = await import('node:fs/promises')\n")
    expect(wrongWayImports(dynamic)).toHaveLength(1)
    expect(wrongWayImports(file('src/cluster/a.ts', "import 'pino'\n"))).toHaveLength(1)
  })

  it('lets a layer import itself, the engine and what it is granted', () => {
    const text =
      "import { a } from './b.ts'\nimport { c } from '../../engine/c.ts'\nimport 'node:net'\n"
    expect(wrongWayImports(file('src/transports/tcp/a.ts', text))).toEqual([])
    expect(wrongWayImports(file('src/server.ts', "import 'pino'\n"))).toEqual([])
  })

  it('does not take a string literal for an import', () => {
    const states = file('src/engine/job.ts', "export type State = 'ready' | 'active'\n")
    expect(wrongWayImports(states)).toEqual([])
  })

  it('reports a folder that has no layer', () => {
    const misc = file('src/utils/misc.ts', 'export const x = 1\n')
    expect(wrongWayImports(misc)).toEqual(['src/utils/misc.ts is in no layer'])
  })

  it('reports a cycle, even one made of types only', () => {
    const sources = new Map([
      ['src/engine/a.ts', "import type { B } from './b.ts'\n"],
      ['src/engine/b.ts', "import type { A } from './a.ts'\n"],
    ])
    expect(importCycles(sources)).toEqual(['src/engine/a.ts -> src/engine/b.ts -> src/engine/a.ts'])
  })

  it('reports what a pure folder may not touch', () => {
    const bad = [
      'const t = Date.now()',
      'const t = new Date()',
      'const r = Math.random()',
      'import { randomUUID } from "node:crypto"',
      'setTimeout(f, 1)',
      'process.exit(1)',
      'console.log(1)',
      'await save()',
    ]
    for (const line of bad) {
      expect(impurities(file('src/engine/a.ts', `\n${line}\n`)), line).toHaveLength(1)
      expect(impurities(file('src/transports/wire/a.ts', `\n${line}\n`)), line).toHaveLength(1)
      expect(impurities(file('src/transports/tcp/a.ts', `\n${line}\n`)), line).toEqual([])
    }
    expect(impurities(file('src/engine/a.ts', '// x\nDate.now()\n'))).toEqual([
      'src/engine/a.ts:2 uses the clock',
    ])
  })

  it('leaves the words alone in comments, strings and longer names', () => {
    const fine = [
      '// Date.now is injected',
      '/** the caller must await it\n * in process.env */',
      "const text = 'await the reply'",
      "const url = 'http://a' + b // setTimeout",
      'const d = new Date(nowMs)',
      'preprocess.run(processing.count)',
    ]
    for (const text of fine) expect(impurities(file('src/engine/a.ts', text)), text).toEqual([])
    const after = "const slashes = '//'; Date.now()"
    expect(impurities(file('src/engine/a.ts', after))).toHaveLength(1)
  })

  it('reports a client that needs more than Node', () => {
    const path = 'sdk/typescript/src/client.ts'
    expect(clientImports(file(path, "import { x } from 'pino'\n"))).toHaveLength(1)
    expect(clientImports(file(path, "import { x } from '../../../src/config.ts'\n"))).toHaveLength(
      1,
    )
    expect(clientImports(file(path, "import 'node:net'\nimport './job.ts'\n"))).toEqual([])
  })

  it('reports a tour stop that does not exist, a tour without stops, and no tour', () => {
    const exists = (path: string): boolean => path === 'src/engine/shard.ts'
    const page = '1. `src/engine/shard.ts`\n2. `src/engine/gone.ts`, `npm test`\n'
    expect(brokenTour(page, exists)).toEqual(['ARCHITECTURE.md names src/engine/gone.ts'])
    expect(brokenTour('Nothing here.', exists)).toHaveLength(1)
    expect(brokenTour(undefined, exists)).toEqual(['ARCHITECTURE.md is missing'])
  })

  it('reports a file that is too long', () => {
    expect(oversize(file('src/engine/a.ts', 'x\n'.repeat(FILE_LINES_MAX)))).toEqual([])
    expect(oversize(file('src/engine/a.ts', 'x\n'.repeat(FILE_LINES_MAX + 1)))).toEqual([
      `src/engine/a.ts has ${FILE_LINES_MAX + 1} lines`,
    ])
  })

  it('reports a path of a machine, but not one of a route or a package', () => {
    const home = ['', 'home', 'ann', 'flashq'].join('/')
    expect(machinePaths(file('docs/a.md', `cd ${home}\n`))).toHaveLength(1)
    expect(machinePaths(file('a.json', `{"p":"${home}"}`))).toHaveLength(1)
    expect(machinePaths(file('docs/a.md', `GET /workers, ./home/x, docs/work/x, /tmp/x`))).toEqual(
      [],
    )
  })

  it('reports a test that keeps the others from running', () => {
    const only = ['it', 'only'].join('.')
    expect(focusedTests(file('test/a.test.ts', `${only}('x', f)\n`))).toHaveLength(1)
    expect(focusedTests(file('test/a.test.ts', "it('only x', f)\n"))).toEqual([])
  })

  it('reports a package that is not pinned, names its registry, or lacks a platform', () => {
    const packages = {
      '': {},
      'sdk/typescript': {},
      'node_modules/flashq': { link: true, resolved: 'sdk/typescript' },
      'node_modules/a': { integrity: 'x', optionalDependencies: { 'a-linux': '1', 'a-mac': '1' } },
      'node_modules/a-linux': { optional: true, os: ['linux'] },
      'node_modules/b': { optional: true },
      'node_modules/c': { integrity: 'x', resolved: 'https://host/c.tgz' },
    }
    expect(loosePackages(JSON.stringify({ packages }))).toEqual([
      'node_modules/a lacks a-mac: node scripts/complete-lock.mjs',
      'node_modules/b has no integrity',
      'node_modules/c names the host it came from',
    ])
  })
})

describe('tidy: this repository', () => {
  const all = readTree('.')
  const src = within('src/')
  const sdk = within('sdk/typescript/src/')

  it('has sources to check', () => {
    expect(src.size).toBeGreaterThan(5)
    expect(sdk.size).toBeGreaterThan(0)
  })
  it('imports one way', () => expect(wrongWayImports(src)).toEqual([]))
  it('has no import cycle', () => expect(importCycles(all)).toEqual([]))
  it('keeps the engine and the wire pure', () => expect(impurities(src)).toEqual([]))
  it('keeps the client free of dependencies', () => expect(clientImports(sdk)).toEqual([]))
  it('keeps files small', () => expect(oversize(codeFiles())).toEqual([]))
  it('has a true tour', () => {
    expect(brokenTour(all.get('ARCHITECTURE.md'), existsSync)).toEqual([])
  })
  it('names no path of a machine', () => expect(machinePaths(all)).toEqual([]))
  it('runs all of its tests', () => expect(focusedTests(within('test/'))).toEqual([]))
  it('pins what it installs', () => {
    expect(loosePackages(readFileSync('package-lock.json', 'utf8'))).toEqual([])
  })

  function within(folder: string): Sources {
    return new Map([...all].filter(([path]) => path.startsWith(folder)))
  }

  function codeFiles(): Sources {
    return new Map([...all].filter(([path]) => /\.(?:ts|mjs)$/.test(path)))
  }
})

function file(path: string, text: string): Sources {
  return new Map([[path, text]])
}

/** Every text file of the project, made and installed ones left out. */
function readTree(root: string): Sources {
  const skipped = new Set([
    'node_modules',
    'dist',
    'dist-bench',
    '.git',
    '.cache',
    'coverage',
    'data',
  ])
  const isText = /(?:\.(?:ts|mjs|js|json|md|yml|yaml|sql|sh|css|html)|Makefile|\.ci\/run)$/
  const sources = new Map<string, string>()
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory() && !skipped.has(entry.name)) visit(path)
      if (entry.isFile() && isText.test(path) && entry.name !== 'package-lock.json') {
        sources.set(path, readFileSync(path, 'utf8'))
      }
    }
  }
  visit(root)
  return sources
}
