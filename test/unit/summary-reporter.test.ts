import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TestModule } from 'vitest/node'
import SummaryReporter from '../support/summary-reporter.ts'

describe('the last line of a test run', () => {
  let exitCode: typeof process.exitCode

  beforeEach(() => {
    exitCode = process.exitCode
  })
  afterEach(() => {
    process.exitCode = exitCode
  })

  it('counts the test cases of all files', () => {
    expect(lastLine([file(['passed', 'passed']), file(['passed'])])).toBe('3 passed, 0 failed')
    expect(lastLine([file(['passed', 'failed', 'skipped'])])).toBe('1 passed, 1 failed')
  })

  it('counts what fails outside of a test case', () => {
    expect(lastLine([file([], { moduleErrors: 1 })])).toBe('0 passed, 1 failed')
    expect(lastLine([file(['passed'], { suiteErrors: 1 })])).toBe('1 passed, 1 failed')
    expect(lastLine([file(['passed'])], [new Error('late')])).toBe('1 passed, 1 failed')
  })

  it('calls a test that never ended failed', () => {
    expect(lastLine([file(['passed', 'pending'])])).toBe('1 passed, 1 failed')
  })

  it('fails a run in which no test ran', () => {
    process.exitCode = undefined
    expect(lastLine([])).toBe('0 passed, 1 failed')
    expect(process.exitCode).toBe(1)
    expect(lastLine([file(['skipped'])])).toBe('0 passed, 1 failed')
  })

  it('names before it what failed', () => {
    const modules = [file(['passed', 'failed'], { moduleErrors: 1, suiteErrors: 1 })]
    expect(linesOf(modules, [new Error('late')])).toEqual([
      'failed: an error outside of any test',
      'failed: a.test.ts',
      'failed: a.test.ts > suite 0',
      'failed: a.test.ts > suite > test 1',
      '1 passed, 4 failed',
    ])
  })

  it('leaves the exit code of a good run alone', () => {
    process.exitCode = undefined
    lastLine([file(['passed'])])
    expect(process.exitCode).toBeUndefined()
  })
})

function lastLine(modules: TestModule[], errors: unknown[] = []): string | undefined {
  return linesOf(modules, errors).at(-1)
}

function linesOf(modules: TestModule[], errors: unknown[]): string[] {
  const parts: string[] = []
  const reporter = new SummaryReporter({ write: (part) => void parts.push(part) })
  reporter.onTestRunEnd(modules, errors)
  return parts.join('').trimEnd().split('\n')
}

/** As much of a test file as the reporter looks at. */
function file(states: string[], errors: { moduleErrors?: number; suiteErrors?: number } = {}) {
  const { moduleErrors = 0, suiteErrors = 0 } = errors
  return {
    relativeModuleId: 'a.test.ts',
    errors: () => Array.from({ length: moduleErrors }),
    children: {
      allSuites: () => [{ fullName: 'suite 0', errors: () => Array.from({ length: suiteErrors }) }],
      allTests: () =>
        states.map((state, n) => ({
          fullName: `suite > test ${n}`,
          result: () => ({ state }),
        })),
    },
  } as unknown as TestModule
}
