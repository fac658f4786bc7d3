// "Are you sure?", asked of people only.

import { createInterface } from 'node:readline'
import { UsageError } from './exit-code.ts'
import type { Io } from './io.ts'

/** False when the answer is no. Throws a UsageError where nobody can be asked. */
export async function confirmed(io: Io, question: string): Promise<boolean> {
  if (io.stdin.isTTY !== true || io.stderr.isTTY !== true) {
    throw new UsageError(`${question} Say so with --yes`)
  }
  const lines = createInterface({ input: io.stdin, output: io.stderr })
  try {
    const answer = await new Promise<string>((resolve) => {
      lines.once('close', () => resolve(''))
      // Readline takes Ctrl-C for itself while it asks.
      lines.once('SIGINT', () => lines.close())
      io.signal.addEventListener('abort', () => lines.close(), { once: true })
      lines.question(`${question} [y/N] `, resolve)
    })
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    lines.close()
  }
}
