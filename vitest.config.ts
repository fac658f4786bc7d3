import { defineConfig } from 'vitest/config'

// `unit` sees one process and no clock: seconds. `integration` runs the built server and must have
// the machine for itself, so its files run one after another, after the others. `stress` is the
// sustained load of `make stress`, `chaos` the long runs of `make chaos`: not parts of `make test`.
export default defineConfig({
  test: {
    // The tests' PostgreSQL, started when a test asks for it.
    globalSetup: './test/support/database-broker.ts',
    reporters: ['default', './test/support/summary-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'test/tidy.test.ts',
            'test/{unit,property,contract,sim}/**/*.test.ts',
            'bench/**/*.test.ts',
          ],
          testTimeout: 20_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          teardownTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'stress',
          include: ['test/stress/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
