// Reads what a server of HTTP/1.1 has sent, and is strict about it: status lines, heads, lengths, JSON where it says so.

export interface HttpResponse {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/**
 * The responses in `text` (a character for each byte), in order; throws where one is not well-formed. `isWhole` false:
 * the last one may be cut off, and is left out then. Interim responses (100) are skipped.
 */
export function readResponses(text: string, isWhole = true): HttpResponse[] {
  const responses: HttpResponse[] = []
  let at = 0
  while (at < text.length) {
    const end = text.indexOf('\r\n\r\n', at)
    const head = end < 0 ? null : headOf(text.slice(at, end))
    const to = head === null ? Number.POSITIVE_INFINITY : end + 4 + head.length
    if (head === null || to > text.length) {
      if (isWhole) throw new Error(`cut off: ${shown(text, at)}`)
      return responses
    }
    const response = { ...head, body: text.slice(end + 4, to) }
    checkBody(response)
    if (head.status >= 200) responses.push(response)
    at = to
  }
  return responses
}

/** What every answer of the door but a stream is: data, or a refusal with its code. Throws where it is neither. */
export function envelopeOf({ status, headers, body }: HttpResponse): Record<string, unknown> {
  const type = headers.get('content-type') ?? ''
  if (!type.startsWith('application/json')) throw new Error(`${status} is ${type}: ${body}`)
  const json = JSON.parse(body) as Record<string, unknown>
  const isRefusal = typeof json['error'] === 'string' && typeof json['code'] === 'string'
  if (json['ok'] !== status < 400 || (status >= 400 && !isRefusal)) {
    throw new Error(`not an envelope of ${status}: ${body}`)
  }
  return json
}

function headOf(text: string): { status: number; headers: Map<string, string>; length: number } {
  const [first = '', ...lines] = text.split('\r\n')
  const [, status] = /^HTTP\/1\.1 ([1-5]\d\d) [ -~]*$/.exec(first) ?? []
  if (status === undefined) throw new Error(`no status line: ${shown(text, 0)}`)
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, name = '', value = ''] = /^([\w-]+): ?([ -~]*)$/.exec(line) ?? []
    if (name === '' || headers.has(name.toLowerCase())) throw new Error(`a bad header: ${line}`)
    headers.set(name.toLowerCase(), value)
  }
  const length = Number(headers.get('content-length') ?? 0)
  if (!Number.isInteger(length) || headers.has('transfer-encoding')) {
    throw new Error(`no length: ${text}`)
  }
  return { status: Number(status), headers, length }
}

function checkBody({ headers, body }: HttpResponse): void {
  if (headers.get('content-type')?.startsWith('application/json') && body !== '') JSON.parse(body)
}

function shown(text: string, at: number): string {
  return JSON.stringify(text.slice(at, at + 200))
}
