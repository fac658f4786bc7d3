import { describe, expect, it } from 'vitest'
import { PostmasterLog } from '../../../../src/storage/embedded/postmaster-log.ts'

describe('the log of PostgreSQL', () => {
  it('passes on what is a warning or worse, with all of its lines', () => {
    const { messages, told } = logs()
    messages.isQuiet = false
    for (const line of [
      'LOG:  database system is ready',
      '\tmore of it',
      'WARNING:  one',
      '\tmore of one',
      'ERROR:  two',
      'FATAL:  three',
      'PANIC:  four',
      'LOG:  five',
    ]) {
      messages.line(line)
    }
    expect(told).toEqual([
      'warn PostgreSQL: WARNING:  one',
      'warn PostgreSQL: \tmore of one',
      'warn PostgreSQL: ERROR:  two',
      'warn PostgreSQL: FATAL:  three',
      'error PostgreSQL: PANIC:  four',
    ])
  })

  it('says nothing of sessions that end because it starts or stops', () => {
    const { messages, told } = logs()
    messages.line('FATAL:  terminating connection due to administrator command')
    messages.line('WARNING:  worth a look')
    expect(told).toEqual(['warn PostgreSQL: WARNING:  worth a look'])
  })

  it('keeps the last lines, whatever they are, to say why a start failed', () => {
    const { messages } = logs()
    for (let n = 0; n < 100; n++) messages.line(`LOG:  line ${n}`)
    expect(messages.tail.split('\n')).toHaveLength(20)
    expect(messages.tail).toContain('line 99')
    messages.clear()
    expect(messages.tail).toBe('')
  })

  it('gives back the text of what is merely a message', () => {
    const { messages } = logs()
    expect(messages.line('LOG:  ready')).toBe('ready')
    expect(messages.line('WARNING:  ready')).toBe('')
    expect(messages.line('ready')).toBe('')
  })
})

function logs(): { messages: PostmasterLog; told: string[] } {
  const told: string[] = []
  const messages = new PostmasterLog({
    info: (_, text) => told.push(`info ${text}`),
    warn: (_, text) => told.push(`warn ${text}`),
    error: (_, text) => told.push(`error ${text}`),
  })
  return { messages, told }
}
