// COPY in both directions, over a session that is inside a transaction.
//
// 1. Back-pressure both ways: nothing is read that was not handled, nothing is made that was not sent.
// 2. The event loop gets its turn: reading pauses after each `TURN_BYTES` that the socket had ready at once.
// 3. A stream that moves nothing for `STALL_MS` is a fault: PostgreSQL may be there no longer, and TCP tells late.
// 4. However it ends, the session is as usable, or as lost, as after a statement: a sink that throws does not leave
//    half a result in it, the rest is read and thrown away.

import type { Writable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { StorageFault } from '../../../engine/storage-port.ts'
import type { Session } from '../connection.ts'
import { faultOf } from '../fault.ts'

const TURN_BYTES = 256 * 1024
const STALL_MS = 30_000
/** Read ahead of what is handled. */
const READ_AHEAD_BYTES = 256 * 1024

/** `COPY … TO STDOUT`: each piece goes to `sink`, which is done with it when it returns. */
export async function copyOut(
  session: Session,
  text: string,
  sink: (piece: Buffer) => void,
): Promise<void> {
  const stream = session.client.query(copyTo(text, { highWaterMark: READ_AHEAD_BYTES }))
  // An error of the session may come when nobody reads any more.
  stream.on('error', () => undefined)
  const watch = new StallWatch((fault) => stream.destroy(fault))
  let failure: { readonly error: unknown } | null = null
  let sinceTurn = 0
  try {
    for await (const piece of stream) {
      watch.moved()
      if (failure !== null) continue
      try {
        sink(piece as Buffer)
      } catch (error) {
        failure = { error }
      }
      sinceTurn += (piece as Buffer).length
      if (sinceTurn < TURN_BYTES) continue
      sinceTurn = 0
      await nextTurn()
    }
  } catch (error) {
    throw faultOf(error)
  } finally {
    watch.stop()
  }
  if (failure !== null) throw failure.error
}

/** `COPY … FROM STDIN`, of chunks that are made when there is room for them. Resolves to how many bytes they were. */
export async function copyIn(
  session: Session,
  text: string,
  chunks: Iterable<Buffer>,
): Promise<number> {
  const stream = session.client.query(copyFrom(text))
  let stalled: (fault: StorageFault) => void = () => undefined
  const ended = new Promise<void>((resolve, reject) => {
    stream.once('finish', resolve)
    stream.on('error', reject)
    stalled = reject
  })
  const watch = new StallWatch(stalled)
  // It may fail while a chunk is being made; that is noticed at the next one.
  ended.catch(() => undefined)
  let bytes = 0
  let making = true
  try {
    for (const chunk of chunks) {
      making = false
      bytes += chunk.length
      await Promise.race([written(stream, chunk), ended])
      watch.moved()
      making = true
    }
    making = false
    stream.end()
    await ended
    return bytes
  } catch (error) {
    if (!making) throw faultOf(error)
    // PostgreSQL is told to forget the rows, and is ready for the next statement.
    stream.destroy(new Error('the rows could not be made'))
    throw error
  } finally {
    watch.stop()
  }
}

function written(stream: Writable, chunk: Buffer): Promise<void> {
  return new Promise((resolve) => {
    stream.write(chunk, () => resolve())
  })
}

class StallWatch {
  private readonly timer: NodeJS.Timeout

  constructor(stalled: (fault: StorageFault) => void) {
    this.timer = setTimeout(() => {
      stalled(new StorageFault('timeout', `COPY has moved nothing for ${STALL_MS} ms`, true))
    }, STALL_MS)
  }

  moved(): void {
    this.timer.refresh()
  }

  stop(): void {
    clearTimeout(this.timer)
  }
}
