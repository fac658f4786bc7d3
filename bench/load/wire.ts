// The four commands that a job needs one by one, in the protocol of each server: the same thin client drives both.
//
// A reply of beanstalkd to `reserve` takes two lines (head, data), of which only the second is the end of the reply.

import { digitsAt } from './replies.ts'
import type { WireName } from './spec.ts'

export interface Wire {
  /** Commands of a new connection that choose its queue, and how many lines they are answered with. */
  setup(queue: string): { bytes: Buffer; lines: number }
  push(queue: string, data: string): Buffer
  pull(queue: string): Buffer
  ack(id: number): Buffer
  isPushed(buf: Buffer, from: number): boolean
  isAcknowledged(buf: Buffer, from: number): boolean
  /** The id of the job in a reply to a pull, or -1. */
  jobId(buf: Buffer, from: number): number
  /** Lines of a reply to a pull. */
  linesOfPull: number
}

const jobHead = Buffer.from('{"ok":true,"job":{"id":').length
const letterT = 0x74
const closing = 0x7d

const flashq: Wire = {
  setup: () => ({ bytes: Buffer.alloc(0), lines: 0 }),
  push: (queue, data) => Buffer.from(`{"cmd":"PUSH","queue":"${queue}","data":${data}}\n`),
  pull: (queue) => Buffer.from(`{"cmd":"PULL","queue":"${queue}"}\n`),
  ack: (id) => Buffer.from(`{"cmd":"ACK","id":${id}}\n`, 'latin1'),
  isPushed: (buf, from) => buf[from + 6] === letterT && buf[from + 12] === 0x69,
  isAcknowledged: (buf, from) => buf[from + 6] === letterT && buf[from + 10] === closing,
  jobId: (buf, from) =>
    buf[from + 6] === letterT && buf[from + 12] === 0x6a ? digitsAt(buf, from + jobHead) : -1,
  linesOfPull: 1,
}

const reservedHead = Buffer.from('RESERVED ').length

const beanstalkd: Wire = {
  setup: (tube) => ({
    bytes: Buffer.from(`use ${tube}\r\nwatch ${tube}\r\nignore default\r\n`),
    lines: 3,
  }),
  push: (_, data) => Buffer.from(`put 0 0 120 ${data.length}\r\n${data}\r\n`),
  pull: () => Buffer.from('reserve\r\n'),
  ack: (id) => Buffer.from(`delete ${id}\r\n`, 'latin1'),
  isPushed: (buf, from) => buf[from] === 0x49,
  isAcknowledged: (buf, from) => buf[from] === 0x44,
  jobId: (buf, from) => (buf[from] === 0x52 ? digitsAt(buf, from + reservedHead) : -1),
  linesOfPull: 2,
}

export const wires: Record<WireName, Wire> = { flashq, beanstalkd }
