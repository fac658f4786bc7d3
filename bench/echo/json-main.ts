// A second ceiling: what a Node server reaches that does no work either, but reads every frame with JSON.parse and writes
// every reply with JSON.stringify. It tells how much of the way to the bare echo is the format, and how much the product.
//
// Arguments: PORT BATCH DATA_BYTES.

import { createServer, type Socket } from 'node:net'
import { cannedReplies } from './replies.ts'

const newline = 0x0a
const [port, batch, dataBytes] = process.argv.slice(2).map(Number)
const canned = cannedReplies(batch ?? 1000, dataBytes ?? 72)
const parsed = (line: Buffer) => JSON.parse(line.toString()) as object
const replies: Record<string, object> = {
  PUSH: parsed(canned.push),
  PUSHB: parsed(canned.pushBatch),
  PULL: parsed(canned.pull),
  PULLB: parsed(canned.pullBatch),
  ACK: parsed(canned.ack),
  ACKB: parsed(canned.ackBatch),
}
const other = parsed(canned.other)

createServer({ noDelay: true }, serve).listen(port, '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))

function serve(socket: Socket): void {
  let parts: Buffer[] = []
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    let out = ''
    let from = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      const rest = chunk.subarray(from, end)
      const line = parts.length === 0 ? rest : Buffer.concat([...parts, rest])
      parts = []
      from = end + 1
      const { cmd } = JSON.parse(line.toString()) as { cmd: string }
      out += `${JSON.stringify(replies[cmd] ?? other)}\n`
    }
    if (from < chunk.length) parts.push(chunk.subarray(from))
    if (out !== '') socket.write(out)
  })
}
