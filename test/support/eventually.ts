// Waits for what other processes do, where nothing says that they have done it.

const POLL_MS = 10

/** Resolves as soon as `check` is true; rejects after `withinMs`. */
export async function eventually(
  what: string,
  withinMs: number,
  check: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadlineMs = Date.now() + withinMs
  while (!(await check())) {
    if (Date.now() > deadlineMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
