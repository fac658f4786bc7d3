// The lines of a file or of stdin, read no faster than they are used.

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { UsageError } from './exit-code.ts'
import type { Io } from './io.ts'

export interface SourceLine {
  readonly number: number
  readonly text: string
  /** Read so far, this line included or not: for the progress. */
  readonly bytesRead: number
}

export interface LineSource {
  readonly lines: AsyncIterable<SourceLine>
  /** Null when it is not known. */
  readonly bytes: number | null
}

/** Of a job's data, whole; a line that is longer is no job. */
const LINE_CHARS_MAX = 64 * 1024 * 1024

/** `-` is stdin. Throws a UsageError when there is no such file. */
export async function lineSource(path: string, io: Io): Promise<LineSource> {
  if (path === '-') return { lines: linesOf(io.stdin), bytes: null }
  const found = await stat(path).catch((fault: unknown) => {
    throw new UsageError(fault instanceof Error ? fault.message : String(fault))
  })
  if (found.isDirectory()) throw new UsageError(`${path} is a folder`)
  return { lines: linesOf(createReadStream(path)), bytes: found.isFile() ? found.size : null }
}

/** All of it, as one text. */
export async function wholeText(stream: Readable): Promise<string> {
  const decoder = new StringDecoder('utf8')
  let text = ''
  for await (const chunk of stream) text += textOf(decoder, chunk)
  return text + decoder.end()
}

export async function* linesOf(stream: Readable): AsyncGenerator<SourceLine> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let number = 0
  let bytesRead = 0
  for await (const chunk of stream) {
    bytesRead += chunk.length
    const parts = textOf(decoder, chunk).split('\n')
    parts[0] = rest + (parts[0] ?? '')
    rest = parts.pop() ?? ''
    if (rest.length > LINE_CHARS_MAX) throw new UsageError(`line ${number + 1} is too long`)
    for (const text of parts) {
      number += 1
      yield { number, text, bytesRead }
    }
  }
  rest += decoder.end()
  if (rest !== '') yield { number: number + 1, text: rest, bytesRead }
}

function textOf(decoder: StringDecoder, chunk: unknown): string {
  return typeof chunk === 'string' ? chunk : decoder.write(chunk as Buffer)
}
