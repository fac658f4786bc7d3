import type { QueueInfo } from '../../job.ts'
import { countText, rateText } from '../amounts.ts'
import type { CliCommand } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import type { Column } from '../table.ts'

const COLUMNS: readonly Column<QueueInfo>[] = [
  { head: 'QUEUE', cell: (queue) => queue.name, elastic: true },
  { head: 'PENDING', cell: (queue) => countText(queue.pending), right: true },
  { head: 'ACTIVE', cell: (queue) => countText(queue.processing), right: true },
  { head: 'DLQ', cell: (queue) => countText(queue.dlq), right: true },
  { head: 'RATE', cell: (queue) => limitText(queue.rate_limit, '/s'), right: true },
  { head: 'CONCURRENCY', cell: (queue) => limitText(queue.concurrency_limit, ''), right: true },
  { head: 'PAUSED', cell: (queue) => (queue.paused ? 'paused' : '-') },
]

export const queues: CliCommand = {
  name: 'queues',
  words: [],
  about: 'the queues, with their depth and limits',
  flags: [],
  json: 'an array of queues, as the protocol has them',
  async run({ out, client }) {
    const all = await (await client()).listQueues()
    if (out.json) out.document(all)
    else if (all.length === 0) out.note('There are no queues')
    else out.table(COLUMNS, all)
    return EXIT.ok
  },
}

export const stats: CliCommand = {
  name: 'stats',
  words: [],
  about: 'the sums over all queues',
  flags: [],
  json: '`{"queued","processing","delayed","dlq","total_pushed","total_completed","total_failed","jobs_per_second","avg_latency_ms"}`',
  async run({ out, client }) {
    const connected = await client()
    const [depth, metrics] = await Promise.all([connected.stats(), connected.metrics()])
    const { total_pushed, total_completed, total_failed, jobs_per_second, avg_latency_ms } = metrics
    const totals = { total_pushed, total_completed, total_failed, jobs_per_second, avg_latency_ms }
    if (out.json) {
      out.document({ ...depth, ...totals })
      return EXIT.ok
    }
    out.fields([
      ['Waiting', countText(depth.queued)],
      ['Delayed', countText(depth.delayed)],
      ['Active', countText(depth.processing)],
      ['Dead letters', countText(depth.dlq)],
      ['Pushed', countText(total_pushed)],
      ['Completed', countText(total_completed)],
      ['Failed', countText(total_failed)],
      ['Rate', `${rateText(jobs_per_second)}/s`],
      ['Latency', `${avg_latency_ms.toFixed(1)} ms`],
    ])
    return EXIT.ok
  },
}

export function limitText(limit: number | null, unit: string): string {
  return limit === null ? '-' : `${countText(limit)}${unit}`
}
