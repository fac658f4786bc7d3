// Measures one function in ns per operation, for the micro-benches of this folder.
//
// 1. The best of several rounds is the figure: what disturbs a run on a shared machine only ever adds time.
// 2. `tiny` runs everything once: it proves that a bench still works and measures nothing (the tests use it).
//
//   measure('heap: push', 1000, () => pushAThousand(), { tiny: isTiny() })

export interface MicroOptions {
  tiny: boolean
  /** Of about `roundMs` each. */
  rounds?: number
  /** Put back what `run` changed; its time does not count. */
  reset?: () => void
}

export interface Measurement {
  title: string
  nsPerOperation: number
}

const roundMs = 50
const defaultRounds = 9
const nsPerMs = 1e6

/** `run` does `operations` operations each time it is called. Prints and returns the best round. */
export function measure(
  title: string,
  operations: number,
  run: () => void,
  options: MicroOptions,
): Measurement {
  const rounds = options.tiny ? 1 : (options.rounds ?? defaultRounds)
  // A first round warms the code and tells how many calls fill a round.
  let calls = 1
  if (!options.tiny)
    calls = Math.max(1, Math.floor((roundMs * nsPerMs) / timeCalls(1, run, options)))
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    best = Math.min(best, timeCalls(calls, run, options) / calls / operations)
  }
  console.log(`${title.padEnd(60)} ${best.toFixed(best < 10 ? 1 : 0).padStart(8)} ns`)
  return { title, nsPerOperation: best }
}

function timeCalls(calls: number, run: () => void, { reset }: MicroOptions): number {
  let elapsedNs = 0
  if (reset === undefined) {
    const startMs = performance.now()
    for (let i = 0; i < calls; i++) run()
    return Math.max(1, (performance.now() - startMs) * nsPerMs)
  }
  for (let i = 0; i < calls; i++) {
    reset()
    const startMs = performance.now()
    run()
    elapsedNs += (performance.now() - startMs) * nsPerMs
  }
  return Math.max(1, elapsedNs)
}

export function isTiny(): boolean {
  return process.argv.includes('--tiny')
}
