// Files that an operator replaces while the server runs: what they hold is read again within half a second.
//
// They are looked at (`stat`) rather than listened for: the systems' notices miss files on a network, links that are
// pointed elsewhere (as Kubernetes does with secrets), and files that are replaced by renaming.
//
// 1. A file is looked at before it is read: a change in between is seen by the next look.
// 2. A look that takes long (a network that does not answer) is waited for, not repeated.

import { promises } from 'node:fs'

const LOOK_EVERY_MS = 500

export class WatchedFiles {
  private readonly paths: readonly string[]
  private readonly onChange: () => void
  private seen: string | null = null
  private looking = false
  private timer: NodeJS.Timeout | null = null

  constructor(paths: readonly string[], onChange: () => void) {
    this.paths = paths
    this.onChange = onChange
  }

  /** What the files are now counts as seen only when a look has ended; the first one calls `onChange`. */
  start(): void {
    if (this.timer !== null) return
    this.timer = setInterval(() => void this.look(), LOOK_EVERY_MS)
    this.timer.unref()
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
  }

  /** Never rejects. */
  async look(): Promise<void> {
    if (this.looking) return
    this.looking = true
    const found = (await Promise.all(this.paths.map(traceOf))).join()
    this.looking = false
    if (found === this.seen) return
    this.seen = found
    this.onChange()
  }
}

/** Changes when the file does. */
async function traceOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await promises.stat(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(':')
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}
