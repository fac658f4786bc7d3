// Lists of jobs: of one queue or all, by state, tag, time and text, a page at a time.
//
// The cursor of the next page is beside the data, which so stay a list.

import { limits } from '../../../engine/limits.ts'
import { frameOf } from '../../wire/frames.ts'
import { sendRefusal } from '../answers.ts'
import { isRefusal, oneOf, readQuery, text, uint } from '../fields.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { valueBody } from '../reply-lines.ts'
import { describeRoute, listOf, ref } from '../schemas.ts'

/** The second spelling of the last one is that of older servers. */
const listed = [
  'waiting',
  'delayed',
  'active',
  'completed',
  'failed',
  'waiting-children',
  'waitingchildren',
] as const

const listFields = {
  queue: text('a queue', limits.queueNameBytesMax),
  state: oneOf('a state', listed),
  tag: text('a tag that they have', limits.tagBytesMax),
  since: uint({ description: 'created then or later, Unix ms' }),
  until: uint({ description: 'created then or earlier, Unix ms' }),
  text: text('what is in their data, byte for byte', limits.listTextBytesMax),
  limit: uint({ description: 'at most', max: limits.listCountMax, default: 100 }),
  offset: uint({ description: 'so many are skipped', max: limits.listOffsetMax, default: 0 }),
  cursor: text('of the page before', 1024),
}

export const listRoutes: RoutePlugin = (app, { commands }) => {
  app.get(
    '/jobs',
    {
      schema: describeRoute({
        tag: 'jobs',
        summary: 'Jobs, the newest first',
        data: listOf(ref('JobWithState')),
        beside: { cursor: { type: ['string', 'null'] } },
        query: listFields,
      }),
    },
    (request, reply) => {
      const asked = readQuery(listFields, request.query)
      if (isRefusal(asked)) return void sendRefusal(reply, asked)
      commands.run(request, reply, frameOf('LISTJOBS', asked), valueBody)
    },
  )
}
