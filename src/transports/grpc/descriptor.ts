// A proto file as other programs read it: a FileDescriptorProto, made from the tables of the code.
//
// (proto-loader makes descriptors as well, but relative type names and without presence: other makers' clients refuse
// or misread them.)
//
// Each file here has one enum, which its fields of the type `state` are of.

import { ByteWriter } from '../../engine/byte-writer.ts'
import { Wire } from './proto-reader.ts'
import { beginNested, endNested, putTag, putText, putUint } from './proto-writer.ts'
import type { Field, Message } from './schema.ts'

export interface ProtoFile {
  readonly name: string
  readonly package: string
  readonly messages: readonly Message[]
  readonly enum: EnumSpec
  /** Without its package. */
  readonly service: string
  readonly methods: readonly MethodSpec[]
}

interface EnumSpec {
  readonly name: string
  /** The message that it is declared in; '' = none. */
  readonly within: string
  readonly values: readonly string[]
}

interface MethodSpec {
  readonly name: string
  readonly request: Message
  readonly response: Message
  readonly streamsIn: boolean
  readonly streamsOut: boolean
}

/** Numbers of FieldDescriptorProto.Type. */
const TypeNo = {
  double: 1,
  uint64: 4,
  int32: 5,
  bool: 8,
  string: 9,
  message: 11,
  json: 12,
  uint32: 13,
  state: 14,
} as const
const LABEL_OPTIONAL = 1
const LABEL_REPEATED = 3

export function fileDescriptor(file: ProtoFile): Buffer {
  const out = new ByteWriter(8192)
  putText(out, 1, file.name)
  putText(out, 2, file.package)
  for (const message of file.messages) nested(out, 4, () => putMessage(out, file, message))
  if (file.enum.within === '') nested(out, 5, () => putEnum(out, file.enum))
  nested(out, 6, () => putService(out, file))
  putText(out, 12, 'proto3')
  return out.toBuffer()
}

function putMessage(out: ByteWriter, file: ProtoFile, { name, fields }: Message): void {
  putText(out, 1, name)
  // A field with presence is alone in a group of its own, in proto3.
  const present = fields.filter(({ label }) => label === 'optional')
  for (const field of fields) {
    nested(out, 2, () => putField(out, file, field, present.indexOf(field)))
  }
  if (file.enum.within === name) nested(out, 4, () => putEnum(out, file.enum))
  for (const field of present) nested(out, 8, () => putText(out, 1, `_${field.name}`))
}

function putField(out: ByteWriter, file: ProtoFile, field: Field, groupNo: number): void {
  const { name, no, type, label } = field
  putText(out, 1, name)
  putNumber(out, 3, no)
  putNumber(out, 4, label === 'repeated' ? LABEL_REPEATED : LABEL_OPTIONAL)
  putNumber(out, 5, TypeNo[typeof type === 'object' ? 'message' : type])
  if (typeof type === 'object') putText(out, 6, typeName(file, type.name))
  else if (type === 'state') {
    const within = file.enum.within === '' ? '' : `${file.enum.within}.`
    putText(out, 6, typeName(file, within + file.enum.name))
  }
  if (groupNo >= 0) {
    putNumber(out, 9, groupNo)
    putNumber(out, 17, 1)
  }
}

function putEnum(out: ByteWriter, { name, values }: EnumSpec): void {
  putText(out, 1, name)
  for (const [number, value] of values.entries()) {
    nested(out, 2, () => {
      putText(out, 1, value)
      putNumber(out, 2, number)
    })
  }
}

function putService(out: ByteWriter, file: ProtoFile): void {
  putText(out, 1, file.service)
  for (const { name, request, response, streamsIn, streamsOut } of file.methods) {
    nested(out, 2, () => {
      putText(out, 1, name)
      putText(out, 2, typeName(file, request.name))
      putText(out, 3, typeName(file, response.name))
      if (streamsIn) putNumber(out, 5, 1)
      if (streamsOut) putNumber(out, 6, 1)
    })
  }
}

function typeName(file: ProtoFile, name: string): string {
  return `.${file.package}.${name}`
}

function nested(out: ByteWriter, no: number, content: () => void): void {
  const from = beginNested(out, no)
  content()
  endNested(out, from)
}

function putNumber(out: ByteWriter, no: number, value: number): void {
  putTag(out, no, Wire.varint)
  putUint(out, value)
}
