// What a browser loads must need no Node: the entry and all that it imports, walked in the sources.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

const FOLDER = 'sdk/typescript/src'
/** `tick.ts` asks first whether it is there. */
const GUARDED = new Map([['tick.ts', /typeof process === 'object'/]])

describe('the entry for browsers', () => {
  const files = walk(`${FOLDER}/http.ts`)

  it('is found, with what it is made of', () => {
    expect(files.size).toBeGreaterThan(20)
    expect([...files.keys()]).toContain(`${FOLDER}/http/http-transport.ts`)
    expect([...files.keys()]).not.toContain(`${FOLDER}/session.ts`)
  })

  it('imports no module of Node, and no package', () => {
    const foreign = [...files].flatMap(([path, text]) =>
      importsOf(text)
        .filter((target) => !target.startsWith('.'))
        .map((target) => `${path} imports ${target}`),
    )
    expect(foreign).toEqual([])
  })

  it('uses no global of Node', () => {
    const uses = [...files].flatMap(([path, text]) => {
      const guard = GUARDED.get(path.slice(FOLDER.length + 1))
      if (guard?.test(text)) return []
      const code = text.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '')
      const found = code.match(
        /\b(?:Buffer|process|setImmediate|global|require|__dirname|NodeJS)\b/,
      )
      return found === null ? [] : [`${path} uses ${found[0]}`]
    })
    expect(uses).toEqual([])
  })

  it('offers every value that the entry for Node offers', async () => {
    const node = await import('../../../sdk/typescript/src/index.ts')
    const browser = await import('../../../sdk/typescript/src/http.ts')
    expect(Object.keys(browser).sort()).toEqual(Object.keys(node).sort())
  })

  it('is what `flashq/http` names, and what a bundler for browsers takes for `flashq`', () => {
    const { exports } = JSON.parse(readFileSync('sdk/typescript/package.json', 'utf8'))
    expect(exports['./http'].default).toBe('./dist/http.js')
    expect(exports['.'].browser.default).toBe('./dist/http.js')
    // The first condition that fits wins.
    expect(Object.keys(exports['.'])[0]).toBe('browser')
  })
})

/** The file and all that it imports for more than types. */
function walk(path: string, seen = new Map<string, string>()): Map<string, string> {
  if (seen.has(path)) return seen
  expect(existsSync(path), path).toBe(true)
  const text = readFileSync(path, 'utf8')
  seen.set(path, text)
  for (const target of importsOf(text)) {
    if (target.startsWith('.')) walk(join(dirname(path), target), seen)
  }
  return seen
}

function importsOf(text: string): string[] {
  const statements = text.matchAll(
    /^(import|export)\s+(?!type\b)(?:[\s\S]*?\bfrom\s+)?'([^']+)'|import\('([^']+)'\)/gm,
  )
  return [...statements].map(([, , target, dynamic]) => target ?? dynamic ?? '')
}
