// Looking at one job, and what is decided about it from outside: cancelled, promoted.

import { NO_DATA } from '../answers.ts'
import type { BodyOf } from '../http-commands.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { fieldsBody, flatJobBody, resultBody } from '../reply-lines.ts'
import { anyJson, describeRoute, nothing, ref } from '../schemas.ts'
import { type OfJob, ofJob } from './of-job.ts'

const nullBody: BodyOf = () => NO_DATA

export const jobRoutes: RoutePlugin = (app, deps) => {
  app.get<OfJob>(
    '/jobs/:id',
    {
      schema: describeRoute({
        tag: 'jobs',
        summary: 'A job',
        data: ref('JobWithState'),
        path: ['id'],
      }),
    },
    (request, reply) => ofJob(deps, request, reply, 'GETJOB', flatJobBody, { full: true }),
  )
  app.get<OfJob>(
    '/jobs/:id/state',
    {
      schema: describeRoute({
        tag: 'jobs',
        summary: 'Its state',
        data: ref('JobState'),
        path: ['id'],
      }),
    },
    (request, reply) => ofJob(deps, request, reply, 'GETSTATE', fieldsBody),
  )
  app.get<OfJob>(
    '/jobs/:id/result',
    {
      schema: describeRoute({
        tag: 'jobs',
        summary: 'Its result, or null',
        data: anyJson,
        path: ['id'],
      }),
    },
    (request, reply) => ofJob(deps, request, reply, 'GETRESULT', resultBody),
  )
  app.get<OfJob>(
    '/jobs/:id/logs',
    {
      schema: describeRoute({
        tag: 'jobs',
        summary: 'Lines that its runs have kept, the newest 100',
        data: ref('JobLogs'),
        path: ['id'],
      }),
    },
    (request, reply) => ofJob(deps, request, reply, 'GETLOGS', fieldsBody),
  )
  app.post<OfJob>(
    '/jobs/:id/promote',
    {
      schema: describeRoute({
        tag: 'jobs',
        summary: 'A delayed job is ready now',
        data: nothing,
        path: ['id'],
      }),
    },
    (request, reply) => ofJob(deps, request, reply, 'PROMOTE', nullBody),
  )
  app.post<OfJob>(
    '/jobs/:id/cancel',
    { schema: describeRoute({ tag: 'jobs', summary: 'Cancel it', data: nothing, path: ['id'] }) },
    (request, reply) => ofJob(deps, request, reply, 'CANCEL', nullBody),
  )
}
