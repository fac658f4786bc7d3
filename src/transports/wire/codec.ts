// The line format, as the cluster uses it: to find where a frame goes, to read it, to answer it.

import type { WireCodec } from '../../engine/ports.ts'
import { writeListed } from './job-end.ts'
import { peekFrame } from './peek.ts'
import { JsonReply } from './reply-json.ts'
import { scanFrame } from './scan.ts'

export const wireCodec: WireCodec = {
  scan: scanFrame,
  peek: peekFrame,
  reply: (command, slot) => new JsonReply(command, slot),
  listed: writeListed,
}
