import { describe, expect, it } from 'vitest'
import { createLogger, type LoggerOptions } from '../../src/logger.ts'

describe('the log', () => {
  it('is one JSON object per line, with the time, the level by name and who wrote it', () => {
    const { lines, log } = captured({ level: 'info', bindings: { node: 'n1', worker: 3 } })
    log.warn({ shard: 5 }, 'moved')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      pid: process.pid,
      node: 'n1',
      worker: 3,
      shard: 5,
      msg: 'moved',
    })
  })

  it('keeps a hostile name on its line', () => {
    const { lines, log } = captured({ level: 'info' })
    log.info({ queue: 'a\n{"level":"fatal"}\u001b[2J' }, 'pushed')
    expect(lines).toHaveLength(1)
    expect(lines[0]?.trimEnd()).not.toMatch(/\p{Cc}/u)
  })

  it('is as quiet as LOG_LEVEL says', () => {
    const quiet = captured({ level: 'error' })
    quiet.log.warn('not this')
    quiet.log.error('this')
    expect(quiet.lines).toHaveLength(1)
    const silent = captured({ level: 'silent' })
    silent.log.fatal('nor this')
    expect(silent.lines).toEqual([])
  })

  it('masks secrets, also in the configuration as a whole', () => {
    const { lines, log } = captured({ level: 'info' })
    log.info({ token: 'canary', config: { authTokens: ['canary'] } }, 'started')
    log.child({ worker: 1 }).info({ request: { authorization: 'canary' } }, 'refused')
    expect(lines.join('')).not.toContain('canary')
    expect(lines.join('')).toContain('[secret]')
  })

  it('is readable on a terminal', () => {
    const { lines, log } = captured({ level: 'info', pretty: true })
    log.info({ token: 'canary' }, 'started')
    expect(lines.join('')).toContain('INFO')
    expect(lines.join('')).toContain('started')
    expect(lines.join('')).not.toContain('canary')
  })
})

function captured(options: LoggerOptions) {
  const lines: string[] = []
  const destination = { write: (line: string): void => void lines.push(line) }
  return { lines, log: createLogger({ pretty: false, destination, ...options }) }
}
