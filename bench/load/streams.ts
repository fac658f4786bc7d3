// Clients of `/events`: each reads and drops what it gets, so that the server has the work of sending it. The first one
// also counts its events, and what it was told it has missed.

import { connect } from 'node:net'
import type { LoadResult, StreamsSpec } from './spec.ts'

const stopCheckMs = 20
const readBytes = 256 * 1024
const begun = 'retry: '

export async function streams(spec: StreamsSpec, stopped: () => boolean): Promise<LoadResult> {
  let bytes = 0
  const first = new Counter()
  // What is read is dropped, so all read into the same memory.
  const buffer = Buffer.allocUnsafe(readBytes)
  const open = (index: number): Promise<() => void> =>
    new Promise((resolve, reject) => {
      let isBegun = false
      const socket = connect({
        ...spec.at,
        onread: {
          buffer,
          callback: (count) => {
            bytes += count
            if (index === 0) first.count(buffer, count)
            if (!isBegun && buffer.toString('latin1', 0, count).includes(begun)) {
              isBegun = true
              resolve(() => socket.destroy())
            }
            return true
          },
        },
      })
      socket.on('error', reject)
      socket.on('close', () => reject(new Error(`the server closed stream ${index}`)))
      socket.write(`GET ${spec.path} HTTP/1.1\r\nhost: ${spec.at.host}\r\n\r\n`)
    })
  const closes: (() => void)[] = []
  for (let index = 0; index < spec.count; index++) closes.push(await open(index))
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (!stopped()) return
      clearInterval(timer)
      resolve()
    }, stopCheckMs)
  })
  for (const close of closes) close()
  return { jobs: 0, perSecond: 0, lines: first.events, dropped: first.dropped, bytes }
}

/** Finds events in the bytes of one stream; what is cut by the end of a read is found in the next one. */
class Counter {
  events = 0
  dropped = 0
  private rest = ''

  count(buffer: Buffer, count: number): void {
    const text = this.rest + buffer.toString('latin1', 0, count)
    const end = text.lastIndexOf('\n\n')
    this.rest = text.slice(end < 0 ? 0 : end + 2)
    if (end < 0) return
    for (const message of text.slice(0, end).split('\n\n')) {
      if (!message.includes('event: ')) continue
      const missed = /"dropped","count":(\d+)/.exec(message)
      if (missed === null) this.events++
      else this.dropped += Number(missed[1])
    }
  }
}
