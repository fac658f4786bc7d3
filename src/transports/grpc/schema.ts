// What a message of `proto/flashq.proto` is made of, and how its fields are called in a line of the wire.
//
//   PushRequest   delay_ms = 4   ◀──▶   {"cmd":"PUSH", … "delay":500}
//
// The rows are `messages.ts`; a test compares them with the proto file.

type Scalar = 'uint32' | 'uint64' | 'int32' | 'bool' | 'double' | 'string' | 'json' | 'state'

export interface Field {
  readonly no: number
  /** As in the proto file. */
  readonly name: string
  /** As in the line. */
  readonly key: string
  /** The same with its quotes and colon. */
  readonly opening: string
  /** `json`: bytes that hold JSON text. `state`: the enum JobState. */
  readonly type: Scalar | Message
  readonly label: 'single' | 'optional' | 'repeated'
  /** A request's: the line has it also when it is 0, empty or absent. */
  readonly always: boolean
  /** A reply's: the line has `[COUNT]`. */
  readonly counted: boolean
  /** A request's: what is 0 or empty stands for `null`, in a list each element. */
  readonly nullable: boolean
  /** In front of what is wrong with JSON. */
  readonly complaint: string
}

export interface Message {
  readonly name: string
  readonly fields: readonly Field[]
  /** By number; undefined = unknown. */
  readonly byNo: readonly (Field | undefined)[]
  /** A reply's: the key of the object that holds the fields; '' = the line itself. */
  readonly within: string
}

type Options = Partial<Omit<Field, 'no' | 'name' | 'type' | 'opening'>>
export type Row = readonly [no: number, type: Scalar | Message, options?: Options]

export function message(name: string, rows: Readonly<Record<string, Row>>, within = ''): Message {
  const fields = Object.entries(rows).map(([fieldName, [no, type, options]]) => ({
    no,
    name: fieldName,
    key: fieldName,
    opening: `"${options?.key ?? fieldName}":`,
    type,
    label: 'single' as const,
    always: false,
    counted: false,
    nullable: false,
    complaint: 'Invalid JSON',
    ...options,
  }))
  const byNo: (Field | undefined)[] = []
  for (const field of fields) byNo[field.no] = field
  return { name, fields, byNo, within }
}

/** The names of the wire, at the numbers of the enum JobState. */
export const jobStates = [
  'unknown',
  'waiting',
  'delayed',
  'active',
  'completed',
  'failed',
  'waiting-children',
] as const
