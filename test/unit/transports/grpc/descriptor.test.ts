// What reflection tells, read by another maker's protobuf.

import { createFileRegistry, type DescMessage, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { loadSync } from '@grpc/proto-loader'
import { describe, expect, it } from 'vitest'
import { fileDescriptor, type ProtoFile } from '../../../../src/transports/grpc/descriptor.ts'
import { flashqFile, healthFile } from '../../../../src/transports/grpc/proto-files.ts'
import { Reflection } from '../../../../src/transports/grpc/reflection.ts'

function registryOf(file: ProtoFile): ReturnType<typeof createFileRegistry> {
  const descriptor = fromBinary(FileDescriptorProtoSchema, new Uint8Array(fileDescriptor(file)))
  return createFileRegistry(descriptor, () => undefined)
}

describe('the descriptors', () => {
  it.each([
    ['proto/flashq.proto', flashqFile],
    ['proto/health.proto', healthFile],
  ] as const)('have everything that is in %s', (path, file) => {
    const registry = registryOf(file)
    const there = [...registry].map(({ typeName }) => typeName)
    const loaded = Object.keys(loadSync(path, { keepCase: true }))
    expect(there.sort()).toEqual(expect.arrayContaining(loaded.sort()))
  })

  it('tell which fields have presence, which are lists, and of what type they are', () => {
    const job = registryOf(flashqFile).getMessage('flashq.Job') as DescMessage
    const one = (name: string): unknown => {
      const field = job.fields.find((each) => each.name === name)
      return field && [field.number, field.fieldKind, field.presence, field.oneof?.name]
    }
    expect(one('id')).toEqual([1, 'scalar', 2, undefined])
    expect(one('unique_key')).toEqual([13, 'scalar', 1, undefined])
    expect(one('depends_on')).toEqual([14, 'list', 2, undefined])
    const service = registryOf(flashqFile).getService('flashq.QueueService')
    expect(service?.method['processJobs']?.methodKind).toBe('bidi_streaming')
    expect(service?.method['subscribe']?.methodKind).toBe('server_streaming')
    expect(service?.method['getState']?.output.field['state']?.enum?.typeName).toBe(
      'flashq.JobState',
    )
    const health = registryOf(healthFile).getEnum(
      'grpc.health.v1.HealthCheckResponse.ServingStatus',
    )
    expect(health?.values.map(({ name, number }) => [name, number])).toEqual([
      ['UNKNOWN', 0],
      ['SERVING', 1],
      ['NOT_SERVING', 2],
      ['SERVICE_UNKNOWN', 3],
    ])
  })

  it('are there by file and by any name in it; what is no request is answered, too', () => {
    const reflection = new Reflection()
    const ask = (no: number, text: string): string => {
      const request = Buffer.concat([Buffer.from([no * 8 + 2, text.length]), Buffer.from(text)])
      return reflection.answer(request).toString('latin1')
    }
    for (const name of ['flashq.Job', 'flashq.JobState', 'flashq.QueueService.Push']) {
      expect(ask(4, name), name).toContain('flashq.proto')
    }
    expect(ask(4, 'grpc.health.v1.HealthCheckResponse.ServingStatus')).toContain('NOT_SERVING')
    expect(ask(3, 'grpc/health/v1/health.proto')).toContain('NOT_SERVING')
    expect(ask(3, 'other.proto')).toContain('Nothing here is called other.proto')
    expect(ask(6, 'flashq.Job')).toContain('There are no extensions')
    expect(reflection.answer(Buffer.from([0xff])).toString('latin1')).toContain('no extensions')
  })
})
