// The product's TypeScript client: ten thousand pushes at once against ten thousand each awaited before the next.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast, type Side, timed } from './compare.ts'

const builtClient = fileURLToPath(new URL('../../sdk/typescript/dist/index.js', import.meta.url))

export const client: Scenario = {
  name: 'client',
  peer: false,
  foreign: true,
  run: async (bench) => {
    if (!existsSync(builtClient))
      return bench.report.skip('client', 'concurrent push()', `${builtClient} is not built`)
    await withServers([bench.startServer(1)], async ([server]) => {
      const side = (name: string, concurrent: boolean): Side => ({
        name,
        server,
        slices: async () => [
          await timed(server, () =>
            bench.load.run({
              kind: 'client',
              at: server.at,
              modulePath: builtClient,
              queue: bench.newQueue('client'),
              pushes: bench.mode.clientPushes,
              concurrent,
              dataBytes: standard.dataBytes,
            }),
          ),
        ],
      })
      const [sides] = await inTurn(bench.mode.rounds, [
        side('concurrent', true),
        side('each awaited', false),
      ])
      addComparison(bench, {
        scenario: 'client',
        what: `TypeScript client: ${bench.mode.clientPushes} push() at once, 1 worker`,
        sides,
        bar: ratioAtLeast(10, 30),
      })
    })
  },
}
