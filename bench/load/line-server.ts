// A driver process: one request per line of JSON on standard input, one answer per line on standard output. Node and Bun
// both speak it, so peers that need another runtime are driven in the same way as the load process.
//
//   { "run": SPEC }   answered by { "result": … } or { "error": TEXT } when it is done
//   { "stop": true }  ends a running SPEC that goes on until stopped
//
// The driver ends when its standard input does, so it never outlives the orchestrator.

import { createInterface } from 'node:readline'

export type RunSpec = (spec: never, stopped: () => boolean) => Promise<unknown>

export function serveLines(run: RunSpec): void {
  let stopped = false
  const answer = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`)
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    const request = JSON.parse(line) as { run?: never; stop?: boolean }
    if (request.stop === true) {
      stopped = true
      return
    }
    stopped = false
    run(request.run as never, () => stopped).then(
      (result) => answer({ result }),
      (cause: unknown) =>
        answer({ error: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause) }),
    )
  })
  lines.on('close', () => process.exit(0))
}
