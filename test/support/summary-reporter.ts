// The last line of a test run, alone on its line and for machines: `N passed, N failed`.
//
// 1. A file that could not be loaded and an error outside of any test count as failed: neither has a
//    test case, and both must be seen.
// 2. A run in which no test ran is a failed run.

import type { Reporter, TestModule } from 'vitest/node'

export default class SummaryReporter implements Reporter {
  readonly #write: (text: string) => void

  constructor(options: { write?: (text: string) => void } = {}) {
    this.#write = options.write ?? ((text) => void process.stdout.write(text))
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0
    let skipped = 0
    let failed = unhandledErrors.length
    for (const module of modules) {
      if (module.errors().length > 0) failed++
      for (const suite of module.children.allSuites()) failed += suite.errors().length > 0 ? 1 : 0
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed++
        else if (state === 'skipped') skipped++
        else failed++
      }
    }
    if (passed + failed === 0) {
      failed = 1
      this.#write('No test ran.\n')
    }
    if (failed > 0) process.exitCode = 1
    if (skipped > 0) this.#write(`${skipped} skipped\n`)
    this.#write(`${passed} passed, ${failed} failed\n`)
  }
}
