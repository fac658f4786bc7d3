// The echo ceiling: what a bare Node `net` server does with the same frames when it does nothing with them.
//
// It looks for newlines and at a few bytes behind `{"cmd":"`, and writes canned bytes. Nothing is parsed, stored or checked,
// so no Node server on one thread can answer these frames faster. Arguments: PORT BATCH DATA_BYTES.

import { createServer, type Socket } from 'node:net'
import { type CannedReplies, cannedReplies } from './replies.ts'

const newline = 0x0a
const quote = 0x22
const letterA = 0x41
const letterB = 0x42
const letterL = 0x4c
const letterP = 0x50
const letterS = 0x53
/** Behind `{"cmd":"`. */
const nameAt = 8
/** Enough of a frame to know its command: `{"cmd":"PUSHB"`. */
const headBytes = 14
const empty = Buffer.alloc(0)

const [port, batch, dataBytes] = process.argv.slice(2).map(Number)
const replies = cannedReplies(batch ?? 1000, dataBytes ?? 72)
createServer({ noDelay: true }, serve).listen(port, '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))

function serve(socket: Socket): void {
  // The first bytes of a frame that began in an earlier chunk; undefined once its reply is known.
  let head: Buffer | undefined = empty
  let reply = replies.other
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    let from = 0
    let out: Buffer[] | undefined
    while (from < chunk.length) {
      if (head !== undefined) {
        const split = head.length > 0
        const bytes: Buffer = split
          ? Buffer.concat([head, chunk.subarray(from, from + headBytes)])
          : chunk
        const at = split ? 0 : from
        if (bytes.length - at < headBytes && bytes.indexOf(newline, at) === -1) {
          head = Buffer.from(bytes.subarray(at))
          break
        }
        reply = chooseReply(bytes, at + nameAt, replies)
        head = undefined
      }
      const end = chunk.indexOf(newline, from)
      if (end === -1) break
      head = empty
      from = end + 1
      if (from === chunk.length && out === undefined) return void socket.write(reply)
      out ??= []
      out.push(reply)
    }
    if (out !== undefined) socket.write(Buffer.concat(out))
  })
}

/** `PUSH`, `PUSHB`, `PULL`, `PULLB`, `ACK` and `ACKB` differ in their first, third and last bytes. */
function chooseReply(buf: Buffer, at: number, from: CannedReplies): Buffer {
  if (buf[at] === letterA) return buf[at + 3] === letterB ? from.ackBatch : from.ack
  if (buf[at] !== letterP) return from.other
  const isBatch = buf[at + 4] === letterB && buf[at + 5] === quote
  if (buf[at + 2] === letterS) return isBatch ? from.pushBatch : from.push
  return buf[at + 2] === letterL ? (isBatch ? from.pullBatch : from.pull) : from.other
}
