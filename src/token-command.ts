// `flashq-server token`: makes a token, and the entry that makes it one in AUTH_FILE. Nothing is written anywhere.

import { parseArgs } from 'node:util'
import type { Answer } from './help.ts'
import { digestOf, makeToken, tokenIdOf } from './transports/auth/token.ts'
import { readTokenFile } from './transports/auth/token-file.ts'

const DEFAULT_SCOPES = 'read,produce,consume'

interface Wishes {
  readonly name?: string | undefined
  readonly scopes?: string | undefined
  readonly queues?: string | undefined
  readonly expires?: string | undefined
}

export function answerToken(args: readonly string[]): Answer {
  try {
    const options = { type: 'string' } as const
    const { values } = parseArgs({
      args: [...args],
      options: { name: options, scopes: options, queues: options, expires: options },
    })
    return answer(values)
  } catch (error) {
    return refuse((error as Error).message)
  }
}

function answer({ name, scopes = DEFAULT_SCOPES, queues, expires }: Wishes): Answer {
  const token = makeToken()
  const entry = {
    name,
    id: tokenIdOf(token),
    sha256: digestOf(token).toString('hex'),
    scopes: listOf(scopes),
    ...(queues === undefined ? {} : { queues: listOf(queues) }),
    ...(expires === undefined ? {} : { expires_at: expires }),
  }
  // What the server would say of it is said now.
  const read = readTokenFile(Buffer.from(JSON.stringify({ tokens: [entry] })))
  if (!read.ok) return refuse(read.errors.join('; ').replaceAll('tokens[0]', 'the entry'))
  const text = `The token, which is shown only now:

  ${token}

Its entry in the list "tokens" of AUTH_FILE, which holds no secret:

  ${JSON.stringify(entry)}
`
  return { text, exitCode: 0 }
}

function listOf(text: string): string[] {
  return text.split(',').map((each) => each.trim())
}

function refuse(why: string): Answer {
  return { text: `flashq-server token: ${why}. Try --help\n`, exitCode: 2 }
}
