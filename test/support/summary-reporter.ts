// The last line of a test run, alone on its line and for machines: `N passed, N failed`.
//
// 1. A file that could not be loaded and an error outside of any test count as failed: neither has a
//    test case, and both must be seen.
// 2. Before it the names of what failed: who sees only the end of a log knows where to look.
// 3. A run in which no test ran is a failed run.

import type { Reporter, TestModule } from 'vitest/node'

export default class SummaryReporter implements Reporter {
  readonly #write: (text: string) => void

  constructor(options: { write?: (text: string) => void } = {}) {
    this.#write = options.write ?? ((text) => void process.stdout.write(text))
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0
    let skipped = 0
    const failed = unhandledErrors.map(() => 'an error outside of any test')
    for (const module of modules) {
      const file = module.relativeModuleId
      if (module.errors().length > 0) failed.push(file)
      for (const suite of module.children.allSuites()) {
        if (suite.errors().length > 0) failed.push(`${file} > ${suite.fullName}`)
      }
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed++
        else if (state === 'skipped') skipped++
        else failed.push(`${file} > ${test.fullName}`)
      }
    }
    if (passed + failed.length === 0) failed.push('no test ran')
    if (failed.length > 0) process.exitCode = 1
    for (const what of failed) this.#write(`failed: ${what}\n`)
    if (skipped > 0) this.#write(`${skipped} skipped\n`)
    this.#write(`${passed} passed, ${failed.length} failed\n`)
  }
}
