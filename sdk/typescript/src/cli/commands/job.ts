import { exactText } from '../../exact-json.ts'
import type { JobInFull } from '../../job.ts'
import { momentText } from '../amounts.ts'
import type { CliCommand, CliContext } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { jobFields } from '../job-lines.ts'
import { plainJson } from '../plain-text.ts'
import { idOf } from '../words.ts'

export const job: CliCommand = {
  name: 'job',
  words: ['<id>'],
  about: 'all that is known about a job',
  detail: 'Exit code 4 when the server does not know it, or no longer.',
  flags: [],
  json: '`{"job":JOB or null,"state":STATE,"result":VALUE,"error":TEXT or null,"finished_at":ms or null}`',
  async run({ words, out, client }) {
    const id = idOf(words[0] ?? '')
    const found = await (await client()).getJobInFull(id)
    if (out.json) out.document(found)
    else print(out, id, found)
    return found.job === null && found.state === 'unknown' ? EXIT.nothing : EXIT.ok
  },
}

function print(out: CliContext['out'], id: number, found: JobInFull): void {
  const { job, state, result, error, finished_at } = found
  if (job === null && state === 'unknown') {
    out.note(`There is no job ${id}, or no longer`)
    return
  }
  const fields: [string, string][] = [['State', state]]
  if (finished_at !== null) fields.push(['Finished', momentText(finished_at)])
  if (error !== null) fields.push(['Error', error])
  const [first, ...rest] = job === null ? [['Id', String(id)] as [string, string]] : jobFields(job)
  out.fields([...(first === undefined ? [] : [first]), ...fields, ...rest])
  if (job !== null) section(out, 'Data', job.data)
  if (result !== null) section(out, 'Result', result)
}

function section(out: CliContext['out'], title: string, value: unknown): void {
  out.line()
  out.line(out.style('bold', title))
  out.line(plainJson(exactText(value, '  ')))
}
