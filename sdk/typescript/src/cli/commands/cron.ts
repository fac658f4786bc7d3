// Jobs that come by the clock.

import { exactText } from '../../exact-json.ts'
import type { CronJob } from '../../job.ts'
import { momentText } from '../amounts.ts'
import type { CliCommand } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import type { Column } from '../table.ts'
import { jsonOf } from '../words.ts'

const COLUMNS: readonly Column<CronJob>[] = [
  { head: 'NAME', cell: (cron) => cron.name, elastic: true },
  { head: 'SCHEDULE', cell: (cron) => cron.schedule },
  { head: 'QUEUE', cell: (cron) => cron.queue, elastic: true },
  { head: 'PRIORITY', cell: (cron) => String(cron.priority), right: true },
  { head: 'NEXT', cell: (cron) => momentText(cron.next_run) },
  { head: 'DATA', cell: (cron) => exactText(cron.data), elastic: true },
]

export const cronList: CliCommand = {
  name: 'cron list',
  words: [],
  about: 'the crons, with the time of their next job',
  flags: [],
  json: 'an array of crons, as the protocol has them',
  async run({ out, client }) {
    const crons = await (await client()).listCrons()
    if (out.json) out.document(crons)
    else if (crons.length === 0) out.note('There are no crons')
    else out.table(COLUMNS, crons)
    return EXIT.ok
  },
}

export const cronAdd: CliCommand = {
  name: 'cron add',
  words: ['<name>', '<schedule>', '<queue>', '[data]'],
  about: 'add a cron, or replace the one of that name',
  detail:
    "The schedule has five or six fields, as in '0 9 * * 1-5', or is an interval in seconds: '*/60'.",
  flags: [{ name: 'priority', short: 'p', kind: 'integer', value: 'N', about: 'of its jobs' }],
  json: '`{"name":NAME,"queue":Q,"schedule":TEXT}`',
  async run({ words, flags, out, client }) {
    const [name = '', schedule = '', queue = '', data = 'null'] = words
    const cron = {
      queue,
      schedule,
      data: jsonOf(data, 'the data'),
      priority: flags.integer('priority'),
    }
    await (await client()).addCron(name, cron)
    if (out.json) out.document({ name, queue, schedule })
    else out.line(`Cron ${name} puts jobs into ${queue}`)
    return EXIT.ok
  },
}

export const cronRemove: CliCommand = {
  name: 'cron rm',
  words: ['<name>'],
  about: 'remove a cron',
  flags: [],
  json: '`{"name":NAME,"removed":true}`',
  async run({ words, out, client }) {
    const [name = ''] = words
    await (await client()).deleteCron(name)
    if (out.json) out.document({ name, removed: true })
    else out.line(`Cron ${name} is gone`)
    return EXIT.ok
  },
}
