// What the documents say must be what the code does. Each comparison goes both ways.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Op } from '../../src/engine/op.ts'
import { refusalCodes } from '../../src/engine/refusal.ts'
import { httpCodes, statusOf } from '../../src/transports/http/http-refusal.ts'
import { metricNames } from '../../src/transports/metrics/catalogue.ts'
import { cliPage } from '../support/cli-page.ts'
import { configurationPage } from '../support/configuration-page.ts'

const protocol = readFileSync('proto/protocol.md', 'utf8')
const operations = readFileSync('docs/operations.md', 'utf8')
const metrics = readFileSync('docs/metrics.md', 'utf8')
const http = readFileSync('docs/http.md', 'utf8')
const durability = readFileSync('docs/durability.md', 'utf8')

describe('the documents', () => {
  it('list every setting in docs/configuration.md (if this fails: make docs)', async () => {
    await expect(configurationPage()).toMatchFileSnapshot('../../docs/configuration.md')
  })

  it('tell every command and flag of the command line in docs/cli.md (if this fails: make docs)', async () => {
    await expect(cliPage()).toMatchFileSnapshot('../../docs/cli.md')
  })

  it('list every command in proto/protocol.md, and no other', () => {
    expect(firstCells(protocol, 'Commands').sort()).toEqual(Object.keys(Op).sort())
  })

  it('list every error code in proto/protocol.md, and no other', () => {
    expect(firstCells(protocol, 'Errors').sort()).toEqual([...refusalCodes].sort())
  })
})

describe('the page of metrics', () => {
  it('lists every metric, and no other', () => {
    expect(firstCells(metrics, 'Metrics')).toEqual([...metricNames])
  })

  it('lists every alert that there is, in metrics that there are, and no other', () => {
    const rules = readFileSync('deploy/prometheus-alerts.yaml', 'utf8')
    const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name)
    expect(firstCells(metrics, 'Alerts')).toEqual(alerts)
    const used = [...rules.matchAll(/\bflashq_\w+/g)].map(([name]) => name.replace(/_bucket$/, ''))
    expect(used.length).toBeGreaterThan(10)
    expect(used.filter((name) => !metricNames.some((known) => known === name))).toEqual([])
  })
})

describe('the page of the HTTP API', () => {
  it('lists every code with its status, and no other', () => {
    const section = http.split(/^## /m).find((part) => part.startsWith('Status codes\n')) ?? ''
    const listed = [...section.matchAll(/^\|([^|]*)\| (\d+) \|/gm)].flatMap(
      ([, codes = '', status]) =>
        [...codes.matchAll(/`([^`]+)`/g)].map(([, code]) => [code, Number(status)]),
    )
    expect(Object.fromEntries(listed)).toEqual({ ...statusOf, ...httpCodes })
    expect(Object.keys(statusOf).sort()).toEqual([...refusalCodes].sort())
    expect(listed).toHaveLength(refusalCodes.length + Object.keys(httpCodes).length)
  })
})

describe('what is to be done at 3 a.m.', () => {
  it('quotes the log as the code writes it', () => {
    const sources = sourcesBelow('src')
    const quotes = firstCells(operations, 'At 3 a.m.').map((quote) => quote.replace(' …', ''))
    expect(quotes.length).toBeGreaterThan(5)
    expect(quotes.filter((quote) => !sources.includes(quote))).toEqual([])
  })
})

describe('what survives', () => {
  it('names tests that there are', () => {
    const tests = sourcesBelow('test')
    const named = [...durability.matchAll(/(?:unit|integration)\/[a-z/-]+ "([^"]+)"/g)]
    expect(named.length).toBeGreaterThan(5)
    expect(named.map(([, title = '']) => title).filter((title) => !tests.includes(title))).toEqual(
      [],
    )
  })
})

describe('the reader of tables', () => {
  const page =
    '## A\n\n| x | y |\n|---|---|\n| `p`, `q` **+** | `no` |\n\n## B\n| x |\n|---|\n| `r` |\n'

  it('takes the names in the first cell of every row of one section', () => {
    expect(firstCells(page, 'A')).toEqual(['p', 'q'])
    expect(firstCells(page, 'B')).toEqual(['r'])
  })

  it('does not take a missing section for an empty one', () => {
    expect(() => firstCells(page, 'C')).toThrow('no section C')
  })
})

/** The `code` words in the first cells of the table under a `## heading`. */
function firstCells(page: string, heading: string): string[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`))
  if (section === undefined) throw new Error(`no section ${heading}`)
  const cells = [...section.matchAll(/^\|([^|]*)\|/gm)].map(([, cell = '']) => cell)
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word))
}

/** The text of every TypeScript file below a folder, in one. */
function sourcesBelow(folder: string): string {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const paths = files.filter((file) => file.endsWith('.ts')).map((file) => join(folder, file))
  return paths.map((path) => readFileSync(path, 'utf8')).join('\n')
}
