// Who is there: consumers and nodes. Only the HTTP interface knows.

import type { NodeInfo, WorkerInfo } from '../../job.ts'
import { countText, durationText, momentText } from '../amounts.ts'
import type { CliCommand } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import type { Column } from '../table.ts'

const NEEDS_HTTP = 'Needs an HTTP URL: FLASHQ_URL=http://localhost:6790.'

function ageText(ms: number): string {
  return `${durationText(Math.max(0, Date.now() - ms))} ago`
}

const WORKER_COLUMNS: readonly Column<WorkerInfo>[] = [
  { head: 'WORKER', cell: (worker) => worker.id, elastic: true },
  { head: 'QUEUES', cell: (worker) => worker.queues.join(', '), elastic: true },
  { head: 'CONCURRENCY', cell: (worker) => String(worker.concurrency), right: true },
  { head: 'PROCESSED', cell: (worker) => countText(worker.jobs_processed), right: true },
  { head: 'SEEN', cell: (worker) => ageText(worker.last_heartbeat) },
]

const NODE_COLUMNS: readonly Column<NodeInfo>[] = [
  { head: 'NODE', cell: (node) => node.node_id, elastic: true },
  { head: 'ADDRESS', cell: (node) => `${node.host}:${node.port}`, elastic: true },
  { head: 'ROLE', cell: (node) => (node.is_leader ? 'leader' : 'standby') },
  { head: 'SEEN', cell: (node) => ageText(node.last_heartbeat) },
  { head: 'STARTED', cell: (node) => momentText(node.started_at) },
]

export const workers: CliCommand = {
  name: 'workers',
  words: [],
  about: 'the consumers that the server knows',
  detail: NEEDS_HTTP,
  flags: [],
  json: 'an array of workers, as HTTP has them',
  async run({ out, client }) {
    const all = await (await client()).listWorkers()
    if (out.json) out.document(all)
    else if (all.length === 0) out.note('No worker has told of itself')
    else out.table(WORKER_COLUMNS, all)
    return EXIT.ok
  },
}

export const cluster: CliCommand = {
  name: 'cluster',
  words: [],
  about: 'the nodes, and how this one is',
  detail: NEEDS_HTTP,
  flags: [],
  json: '`{"health":{"status",…},"nodes":[{"node_id",…}]}`',
  async run({ out, client }) {
    const connected = await client()
    const [health, nodes] = await Promise.all([connected.health(), connected.listNodes()])
    if (out.json) {
      out.document({ health, nodes })
      return EXIT.ok
    }
    out.fields([
      ['Status', health.status],
      ['Cluster', health.cluster_enabled ? 'on' : 'off'],
      ['PostgreSQL', health.postgres_connected ? 'connected' : '-'],
    ])
    out.line()
    out.table(NODE_COLUMNS, nodes)
    return EXIT.ok
  },
}
