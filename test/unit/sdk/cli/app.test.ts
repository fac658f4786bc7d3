// Commands against a server that says what the test wants: exit codes, complaints, what is a terminal's and what not.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FakeServer, job, refusal } from '../fake-server.ts'
import { type CliEnd, CliWorld, type WorldOptions } from './cli-world.ts'

let server: FakeServer

beforeEach(async () => {
  server = await new FakeServer().start()
})

afterEach(() => server.stop())

function world(options: WorldOptions = {}): CliWorld {
  const env = { FLASHQ_URL: `flashq://127.0.0.1:${server.port}`, ...options.env }
  return new CliWorld({ ...options, env })
}

const run = (...args: string[]): Promise<CliEnd> => world().run(...args)

describe('the exit code', () => {
  it('is 0 when it is done', async () => {
    expect(await run('pause', 'mail')).toEqual({ code: 0, out: 'mail is paused\n', err: '' })
  })

  it('is 1 when the server refuses, with its words and its code on stderr', async () => {
    server.script = () => refusal('queue_name_invalid', 'Queue name cannot be empty')
    expect(await run('pause', ' ')).toEqual({
      code: 1,
      out: '',
      err: 'flashq: Queue name cannot be empty (queue_name_invalid)\n',
    })
  })

  it('is 2 when the command line is wrong, and nobody is asked', async () => {
    expect(await run('push', 'q', '{')).toMatchObject({ code: 2, out: '' })
    expect(await run('ack', 'x')).toMatchObject({
      code: 2,
      err: expect.stringContaining('"x" is no job id'),
    })
    expect(await run('pausee')).toEqual({
      code: 2,
      out: '',
      err: 'flashq: there is no command "pausee"; did you mean pause?\nTry: flashq help\n',
    })
    expect(server.frames).toEqual([])
  })

  it('is 2 for what needs HTTP', async () => {
    for (const command of ['workers', 'cluster']) {
      expect(await run(command)).toMatchObject({ code: 2, err: expect.stringContaining('http://') })
    }
  })

  it('is 3 when nobody is there', async () => {
    await server.stop()
    const end = await run('stats')
    expect(end).toMatchObject({ code: 3, out: '' })
    expect(end.err).toContain('ECONNREFUSED')
    await server.start()
  })

  it('is 3 when no answer comes', async () => {
    server.script = () => null
    expect(await run('stats', '--timeout', '50ms')).toMatchObject({
      code: 3,
      err: 'flashq: Request timeout (timeout)\n',
    })
  })

  it('is 4 when there is no such thing, or nothing to give', async () => {
    server.script = ({ cmd }) =>
      cmd === 'PULLB' ? { jobs: [] } : refusal('job_not_found', 'Job 7 not found')
    expect(await run('ack', '7')).toMatchObject({ code: 4 })
    expect(await run('pull', 'q')).toEqual({ code: 4, out: '', err: '' })
  })

  it('is 130 at Ctrl-C, without a complaint', async () => {
    const interrupted = world()
    const end = interrupted.run('pull', 'q', '--wait', 'forever')
    await server.received('PULLB')
    interrupted.abort.abort(new Error('interrupted'))
    expect(await end).toEqual({ code: 130, out: '', err: '' })
  })
})

describe('the server', () => {
  it('is --url before FLASHQ_URL, and --token before that of the URL', async () => {
    const away = world({ env: { FLASHQ_URL: 'flashq://:one@127.0.0.1:1' } })
    await away.run(
      'pause',
      'q',
      '--url',
      `flashq://:two@127.0.0.1:${server.port}`,
      '--token',
      'three',
    )
    expect(server.of('AUTH')).toMatchObject([{ token: 'three' }])
  })

  it('is told the token of the environment when the URL has none', async () => {
    await world({ env: { FLASHQ_TOKEN: 'env' } }).run('pause', 'q')
    expect(server.of('AUTH')).toMatchObject([{ token: 'env' }])
  })
})

describe('push', () => {
  it('sends the data byte for byte, with every option', async () => {
    await run(
      'push',
      'q',
      '{"n": 12345678901234567890}',
      '-p',
      '5',
      '--delay',
      '1s',
      '--ttl',
      '1m',
      '--run-timeout',
      '2s',
      '--max-attempts',
      '3',
      '--backoff',
      '100ms',
      '--unique-key',
      'k',
      '--depends-on',
      '1,2',
      '--tag',
      'a',
      '--tag',
      'b',
    )
    const { from: _, reqId: __, ...sent } = server.frames[0] ?? {}
    expect(sent).toEqual({
      cmd: 'PUSH',
      queue: 'q',
      data: { n: 12345678901234567000 },
      priority: 5,
      delay: 1000,
      ttl: 60_000,
      timeout: 2000,
      max_attempts: 3,
      backoff: 100,
      unique_key: 'k',
      depends_on: [1, 2],
      tags: ['a', 'b'],
    })
  })

  it('takes stdin for the data, and plain text with --string', async () => {
    await world({ input: '{"a":\n1}\n' }).run('push', 'q', '-')
    await world({ input: 'no "json"' }).run('push', 'q', '-', '--string')
    expect(server.of('PUSH').map(({ data }) => data)).toEqual([{ a: 1 }, 'no "json"'])
  })

  it('reads a file from stdin, and says in JSON what became of it', async () => {
    const end = await world({ input: '1\n2\nno\n' }).run('push', 'q', '--file', '-', '--json')
    expect(JSON.parse(end.out)).toMatchObject({
      queue: 'q',
      pushed: 2,
      refused: [{ line: 3, code: 'invalid' }],
    })
    expect(end.code).toBe(1)
  })

  it('shows its progress on a terminal only', async () => {
    const terminal = world({ columns: 80, input: '1\n2\n' })
    const end = await terminal.run('push', 'q', '--file', '-')
    expect(end.err).toContain('2 jobs')
    expect((await world({ input: '1\n' }).run('push', 'q', '--file', '-')).err).toBe('')
  })

  it('complains about a file that is not there', async () => {
    expect(await run('push', 'q', '--file', 'nowhere.ndjson')).toMatchObject({ code: 2 })
    expect(await run('push', 'q', '1', '--file', 'x')).toMatchObject({ code: 2 })
    expect(await run('push', 'q')).toMatchObject({ code: 2 })
  })
})

describe('output', () => {
  const hostile = job(1, { data: '\u001b]0;title\u0007\u009b2J', queue: 'q' })

  it('never lets a job steer the terminal', async () => {
    server.script = () => ({ jobs: [hostile], ids: [1] })
    for (const args of [
      ['pull', 'q'],
      ['pull', 'q', '--json'],
      ['dlq', 'list', 'q'],
    ]) {
      const { out } = await world({ columns: 100, env: { NO_COLOR: '1' } }).run(...args)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      expect(out, args.join(' ')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
      expect(out).toContain('title')
    }
  })

  it('keeps integers exact', async () => {
    server.script = ({ reqId, from }) => {
      from.socket.write(
        `{"ok":true,"reqId":${reqId},"job":null,"state":"completed","result":12345678901234567890}\n`,
      )
      return null
    }
    expect((await run('job', '7', '--json')).out).toContain('"result":12345678901234567890')
    expect((await run('job', '7')).out).toContain('12345678901234567890')
  })

  it('is coloured on a terminal alone, and not with NO_COLOR', async () => {
    server.script = () => ({
      queues: [
        {
          name: 'q',
          pending: 1,
          processing: 0,
          dlq: 0,
          paused: false,
          rate_limit: null,
          concurrency_limit: null,
        },
      ],
    })
    expect((await world({ columns: 80 }).run('queues')).out).toContain('\u001b[1mQUEUE')
    expect((await world({ columns: 80, env: { NO_COLOR: '1' } }).run('queues')).out).not.toContain(
      '\u001b',
    )
    expect((await run('queues')).out).not.toContain('\u001b')
  })
})

describe('what cannot be undone', () => {
  it('is asked about, and not done when nobody can be asked', async () => {
    for (const args of [
      ['drain', 'q'],
      ['dlq', 'purge', 'q'],
    ]) {
      expect(await run(...args)).toMatchObject({ code: 2, err: expect.stringContaining('--yes') })
    }
    expect(server.frames).toEqual([])
  })

  it('is done when the answer is yes, and not when it is anything else', async () => {
    for (const [answer, code, sent] of [
      ['y\n', 0, 1],
      ['\n', 1, 1],
      ['no\n', 1, 1],
      ['yes\n', 0, 2],
    ] as const) {
      server.script = () => ({ ids: [3] })
      const terminal = world({ columns: 80 })
      const end = terminal.run('drain', 'q')
      await vi.waitFor(() => expect(terminal.err).toContain('[y/N]'))
      terminal.stdin.write(answer)
      expect((await end).code).toBe(code)
      expect(server.of('DRAIN')).toHaveLength(sent)
    }
  })

  it('is done without a question when told so', async () => {
    server.script = () => ({ ids: [3] })
    expect(await run('drain', 'q', '--yes')).toMatchObject({
      code: 0,
      out: '3 jobs of q are gone\n',
    })
  })
})

describe('tail', () => {
  it('prints events until it has enough, and says what is missing', async () => {
    const listening = world()
    const end = listening.run('tail', '--queue', 'q', '-n', '2')
    await server.received('SUBSCRIBE')
    await vi.waitFor(() => expect(listening.err).toContain('Listening'))
    const from = await server.connected(2)
    from.line({
      event: 'pushed',
      queue: 'q',
      job: job(1, { data: '\u001b' }),
      timestamp: 1795522037904,
    })
    from.line({ event: 'dropped', count: 3 })
    from.line({ event: 'failed', queue: 'q', job: job(2), timestamp: 1795522037905, error: 'no' })
    expect((await end).out.split('\n')).toEqual([
      '2026-11-24 12:07:17.904Z  pushed     q  1  "\\u001b"',
      '… 3 events are missing here',
      '2026-11-24 12:07:17.905Z  failed     q  2  no',
      '',
    ])
    expect((await end).code).toBe(0)
  })

  it('is left by Ctrl-C', async () => {
    const listening = world()
    const end = listening.run('tail', '--json')
    await server.received('SUBSCRIBE')
    await vi.waitFor(async () => expect(await server.connected(2)).toBeDefined())
    listening.abort.abort()
    expect(await end).toMatchObject({ code: 0, out: '' })
  })
})

describe('help', () => {
  it('is there for all, for each, and without any arguments', async () => {
    const general = await run()
    expect(general).toMatchObject({ code: 0, err: '' })
    expect((await run('--help')).out).toBe(general.out)
    const push = await run('help', 'push')
    expect(push.out).toContain('--unique-key KEY')
    expect((await run('push', '--help')).out).toBe(push.out)
    expect((await run('help', 'dlq')).out).toContain('flashq dlq purge <queue>')
    expect(await run('help', 'psh')).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean push?'),
    })
  })

  it('tells the version', async () => {
    expect((await run('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(JSON.parse((await run('version', '--json')).out)).toEqual({
      version: expect.any(String),
    })
  })
})
