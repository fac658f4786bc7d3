// Server reflection, for tools that ask a server which calls it has (`GRPC_REFLECTION`): v1, and v1alpha, which has the
// same messages.
//
//   request   3 file by name │ 4 file of symbol │ 5 file of extension │ 6 extensions of type │ 7 services
//   response  2 the request  │ 4 files          │ 6 services          │ 7 error
//
// Nothing of it is loaded where it is off.

import { type ServerDuplexStream, status } from '@grpc/grpc-js'
import { ByteWriter } from '../../engine/byte-writer.ts'
import { fileDescriptor, type ProtoFile } from './descriptor.ts'
import { HEALTH_SERVICE } from './health.ts'
import { SERVICE } from './methods.ts'
import { flashqFile, healthFile } from './proto-files.ts'
import { Wire } from './proto-reader.ts'
import { beginNested, endNested, putBytes, putTag, putText, putUint } from './proto-writer.ts'
import { readRequest } from './request-frame.ts'
import { message } from './schema.ts'

export const REFLECTION_SERVICES = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
] as const

const ServerReflectionRequest = message('ServerReflectionRequest', {
  file_by_filename: [3, 'string', { label: 'optional' }],
  file_containing_symbol: [4, 'string', { label: 'optional' }],
  list_services: [7, 'string', { label: 'optional' }],
})

export class Reflection {
  private readonly byFile = new Map<string, Buffer>()
  private readonly bySymbol = new Map<string, Buffer>()

  constructor() {
    for (const file of [flashqFile, healthFile]) this.add(file)
  }

  serve(call: ServerDuplexStream<Buffer, Buffer>): void {
    call.on('data', (request: Buffer) => {
      if (!call.write(this.answer(request))) {
        call.pause()
        call.once('drain', () => call.resume())
      }
    })
    call.on('end', () => call.end())
  }

  answer(request: Buffer): Buffer {
    const asked = readRequest(ServerReflectionRequest, request)
    const out = new ByteWriter(1024)
    putBytes(out, 2, request, 0, request.length)
    const name = asked?.['file_by_filename']
    const symbol = asked?.['file_containing_symbol']
    if (typeof name === 'string') putFile(out, this.byFile.get(name), name)
    else if (typeof symbol === 'string') putFile(out, this.fileOf(symbol), symbol)
    else if (asked?.['list_services'] !== undefined) putServices(out)
    else putError(out, status.NOT_FOUND, 'There are no extensions')
    return out.toBuffer()
  }

  /** Of a service, a message, an enum, or a method of a service. */
  private fileOf(symbol: string): Buffer | undefined {
    return this.bySymbol.get(symbol) ?? this.bySymbol.get(symbol.replace(/\.[^.]*$/, ''))
  }

  private add(file: ProtoFile): void {
    const descriptor = fileDescriptor(file)
    this.byFile.set(file.name, descriptor)
    const names = [file.service, file.enum.name, ...file.messages.map(({ name }) => name)]
    for (const name of names) this.bySymbol.set(`${file.package}.${name}`, descriptor)
  }
}

function putFile(out: ByteWriter, descriptor: Buffer | undefined, asked: string): void {
  if (descriptor === undefined) {
    putError(out, status.NOT_FOUND, `Nothing here is called ${asked.slice(0, 200)}`)
    return
  }
  const from = beginNested(out, 4)
  putBytes(out, 1, descriptor, 0, descriptor.length)
  endNested(out, from)
}

function putServices(out: ByteWriter): void {
  const from = beginNested(out, 6)
  for (const service of [SERVICE, HEALTH_SERVICE]) {
    const one = beginNested(out, 1)
    putText(out, 1, service)
    endNested(out, one)
  }
  endNested(out, from)
}

function putError(out: ByteWriter, code: status, text: string): void {
  const from = beginNested(out, 7)
  putTag(out, 1, Wire.varint)
  putUint(out, code)
  putText(out, 2, text)
  endNested(out, from)
}
