// The proto files of the door, as reflection shows them.

import type { ProtoFile } from './descriptor.ts'
import { HealthCheckRequest, HealthCheckResponse } from './health.ts'
import { methods, processJobs, streamJobs, subscribe } from './methods.ts'
import { jobStates, type Message } from './schema.ts'

const calls = [...methods, streamJobs, processJobs, subscribe]

export const flashqFile: ProtoFile = {
  name: 'flashq.proto',
  package: 'flashq',
  messages: messagesOf(calls.flatMap(({ request, response }) => [request, response])),
  enum: {
    name: 'JobState',
    within: '',
    values: jobStates.map((state) => `JOB_STATE_${state.toUpperCase().replace('-', '_')}`),
  },
  service: 'QueueService',
  methods: calls.map(({ name, request, response, kind }) => ({
    name,
    request,
    response,
    streamsIn: kind === 'bidi',
    streamsOut: kind === 'bidi' || kind === 'serverStream',
  })),
}

export const healthFile: ProtoFile = {
  name: 'grpc/health/v1/health.proto',
  package: 'grpc.health.v1',
  messages: [HealthCheckRequest, HealthCheckResponse],
  enum: {
    name: 'ServingStatus',
    within: 'HealthCheckResponse',
    values: ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'],
  },
  service: 'Health',
  methods: [
    {
      name: 'Check',
      request: HealthCheckRequest,
      response: HealthCheckResponse,
      streamsIn: false,
      streamsOut: false,
    },
    {
      name: 'Watch',
      request: HealthCheckRequest,
      response: HealthCheckResponse,
      streamsIn: false,
      streamsOut: true,
    },
  ],
}

/** These and all that are in them, each name once. */
function messagesOf(roots: readonly Message[]): Message[] {
  const byName = new Map<string, Message>()
  const add = (message: Message): void => {
    if (byName.has(message.name)) return
    byName.set(message.name, message)
    for (const { type } of message.fields) if (typeof type === 'object') add(type)
  }
  for (const root of roots) add(root)
  return [...byName.values()]
}
