// The command line as a process against a server: what it prints for people and for programs, and its exit codes.

import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { CLI_MAIN, COMMAND_MS_MAX, Command, type End } from '../support/cli-command.ts'
import { SharedServer } from '../support/shared-server.ts'
import { within } from '../support/wire-client.ts'

/** What --json prints: the expectations say what must be in it. */
// biome-ignore lint/suspicious/noExplicitAny: as JSON.parse has it
type Said = any

const server = new SharedServer({ HTTP: '1', HTTP_PORT: '0' })
const folder = mkdtempSync(join(tmpdir(), 'flashq-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

const doors = [
  { door: 'TCP', url: () => `flashq://127.0.0.1:${server.process.port}` },
  { door: 'HTTP', url: () => `http://127.0.0.1:${server.process.httpPort}` },
]
let queues = 0

describe.each(doors)('flashq over $door', ({ door, url }) => {
  const flashq = (...args: string[]): Promise<End> => new Command(url(), args).ended
  const json = async (...args: string[]): Promise<Said> =>
    JSON.parse((await flashq(...args, '--json')).out)
  const newQueue = (): string => {
    queues += 1
    return `cli-${door}-${queues}`
  }

  it('pushes, shows, pulls and acknowledges a job', async () => {
    const queue = newQueue()
    const { id } = await json('push', queue, '{"n": 12345678901234567890}', '--tag', 'a', '-p', '3')
    expect(await flashq('push', queue, '1')).toMatchObject({
      code: 0,
      out: expect.stringMatching(`^Job \\d+ is in ${queue}\n$`),
    })
    const shown = await flashq('job', `${id}`)
    expect(shown.out).toMatch(/State +waiting\nQueue .*\nPriority +3\n/)
    expect(shown.out).toContain('"n": 12345678901234567890')
    const pulled = await flashq('pull', queue, '--json')
    expect(pulled.out).toContain('{"n":12345678901234567890}')
    const { token } = JSON.parse(pulled.out)
    const stale = await flashq('ack', `${id}`, '--delivery', `${token + 1}`)
    expect(stale).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/\(stale_token\)\n$/),
    })
    expect(
      await flashq('ack', `${id}`, '--result', '{"ok": true}', '--delivery', `${token}`),
    ).toEqual({
      code: 0,
      out: `Job ${id} is completed\n`,
      err: '',
    })
    expect(await json('job', `${id}`)).toMatchObject({ state: 'completed', result: { ok: true } })
  })

  it('pulls several, acknowledges them, and says when there is none', async () => {
    const queue = newQueue()
    await new Command(url(), ['push', queue, '--file', '-'], { input: '1\n2\n3\n' }).ended
    const pulled = await flashq('pull', queue, '--count', '10', '--ack')
    expect(pulled.code).toBe(0)
    expect(pulled.out.trimEnd().split('\n')).toHaveLength(4)
    expect(await flashq('pull', queue)).toEqual({ code: 4, out: '', err: '' })
    expect(
      (await json('queues')).find(({ name }: { name: string }) => name === queue),
    ).toMatchObject({
      pending: 0,
      processing: 0,
    })
  })

  it('waits for a job', async () => {
    const queue = newQueue()
    const waiting = new Command(url(), ['pull', queue, '--wait', '20s', '--json'])
    await flashq('push', queue, '"late"')
    expect(JSON.parse((await waiting.ended).out)).toMatchObject({ data: 'late' })
  })

  it('ends a wait at Ctrl-C, and no job is lost by it', async () => {
    const queue = newQueue()
    const waiting = new Command(url(), ['pull', queue, '--wait', 'forever'])
    // Once it has pulled what is there, it is connected and waits for more.
    await flashq('stats')
    waiting.child.kill('SIGINT')
    expect(['', undefined]).toContain((await waiting.ended).out)
    await flashq('push', queue, '1')
    expect(await flashq('pull', queue, '--wait', '5s', '--ack')).toMatchObject({ code: 0 })
  })

  it('pushes a file, and tells what was refused by its line', async () => {
    const queue = newQueue()
    const file = join(folder, `${queue}.ndjson`)
    const lines = Array.from({ length: 2500 }, (_, n) => `{"n":${n}}`)
    writeFileSync(file, [...lines, 'no', '', '{"last":true}'].join('\n'))
    const end = await flashq('push', queue, '--file', file)
    expect(end).toMatchObject({ code: 1, out: `2,501 jobs are in ${queue}\n` })
    expect(end.err).toMatch(/^line 2501: .*\(invalid\)\n$/)
    writeFileSync(file, '{"data":1,"unique_key":"k"}\n{"data":2,"unique_key":"k"}\n')
    expect(await json('push', queue, '--jobs', '--file', file)).toMatchObject({
      pushed: 1,
      refused: [{ line: 2, code: 'duplicate_key' }],
    })
  })

  it('fails a job into the dead-letter queue, lists it, retries it, purges it', async () => {
    const queue = newQueue()
    const { id } = await json('push', queue, '1', '--max-attempts', '1')
    await flashq('pull', queue)
    expect((await flashq('fail', `${id}`, 'out of paper')).out).toBe(`Job ${id} is failed\n`)
    expect((await flashq('dlq', 'list', queue)).out).toMatch(/ERROR.*\n.*out of paper/)
    expect(await json('dlq', 'list', queue)).toMatchObject([{ id, progress_msg: 'out of paper' }])
    expect((await flashq('dlq', 'retry', queue, '--id', `${id}`)).out).toBe(
      `1 jobs are back in ${queue}\n`,
    )
    await flashq('pull', queue)
    await flashq('fail', `${id}`)
    expect(await flashq('dlq', 'purge', queue)).toMatchObject({ code: 2 })
    expect(await json('dlq', 'purge', queue, '--yes')).toEqual({ queue, purged: 1 })
    expect(await flashq('dlq', 'list', queue)).toMatchObject({ code: 0, out: '' })
  })

  it('cancels and promotes', async () => {
    const queue = newQueue()
    const { id } = await json('push', queue, '1', '--delay', '1h')
    expect((await flashq('promote', `${id}`)).out).toBe(`Job ${id} is waiting\n`)
    expect(await json('cancel', `${id}`)).toEqual({ id, state: 'cancelled' })
    expect(await flashq('cancel', `${id}`)).toMatchObject({ code: 4 })
    expect(await flashq('job', `${id}`)).toMatchObject({ code: 4, out: '' })
  })

  it('pauses, resumes and limits a queue', async () => {
    const queue = newQueue()
    await flashq('push', queue, '1')
    expect((await flashq('pause', queue)).out).toBe(`${queue} is paused\n`)
    expect(await flashq('pull', queue)).toMatchObject({ code: 4 })
    expect(await json('resume', queue)).toEqual({ queue, paused: false })
    expect(await json('limit', queue, '--rate', '9', '--concurrency', '2')).toEqual({
      queue,
      rate_limit: 9,
      concurrency_limit: 2,
    })
    expect((await flashq('limit', queue, '--rate', 'off')).out).toMatch(
      /Rate +-\nConcurrency +2\n$/,
    )
  })

  it('sets, lists and removes a cron', async () => {
    const name = newQueue()
    await flashq('cron', 'add', name, '*/3600', 'cron', '{"a":1}')
    expect((await flashq('cron', 'list')).out).toContain(name)
    const crons = await json('cron', 'list')
    expect(crons.find((cron: { name: string }) => cron.name === name)).toMatchObject({
      data: { a: 1 },
    })
    expect(await flashq('cron', 'rm', name)).toMatchObject({ code: 0 })
    expect(await flashq('cron', 'rm', name)).toMatchObject({
      code: 4,
      err: expect.stringContaining('cron_not_found'),
    })
    expect(await flashq('cron', 'add', name, 'never', 'q')).toMatchObject({ code: 1 })
  })

  it('tells the sums', async () => {
    expect((await flashq('stats')).out).toMatch(/^Waiting +\d/)
    expect(await json('stats')).toMatchObject({
      queued: expect.any(Number),
      total_pushed: expect.any(Number),
    })
    expect((await flashq('top', '-i', '100ms')).out).toMatch(/^waiting .*pushed .*\n\nQUEUE/)
  })

  it('measures, and leaves nothing behind', async () => {
    const { phases } = await json('bench', '--jobs', '2000', '--batch', '100', '--clients', '2')
    expect(phases.map(({ name, jobs }: { name: string; jobs: number }) => [name, jobs])).toEqual([
      ['push', 2000],
      ['pull', 2000],
      ['ack', 2000],
    ])
    const names: string[] = (await json('queues')).map(({ name }: { name: string }) => name)
    expect(names.filter((name) => name.includes('bench'))).toEqual([])
  })

  it('follows events until it has enough', async () => {
    const queue = newQueue()
    const tail = new Command(url(), ['tail', '--queue', queue, '-n', '2'])
    await tail.says('Listening')
    await flashq('push', queue, '"\\u001b[2J"')
    await flashq('pull', queue, '--ack')
    const { code, out } = await tail.ended
    expect(code).toBe(0)
    expect(out).toMatch(/ pushed .*"\\u001b\[2J"\n.* completed /)
  })

  it('lists jobs by filters, in pages', async () => {
    const queue = newQueue()
    await new Command(url(), ['push', queue, '--tag', 'x', '--file', '-'], { input: '1\n2\n3\n' })
      .ended
    const page = await json('jobs', '--queue', queue, '--limit', '2')
    expect(page.jobs.map(({ data }: { data: number }) => data)).toEqual([3, 2])
    const rest = await json('jobs', '--queue', queue, '--cursor', page.cursor)
    expect(rest).toMatchObject({ jobs: [{ data: 1, state: 'waiting' }] })
    const all = await flashq('jobs', '--queue', queue, '--tag', 'x', '--all', '--json')
    expect(all.out.trimEnd().split('\n')).toHaveLength(3)
    expect((await flashq('jobs', '--queue', queue)).out).toMatch(
      /^ *ID +QUEUE +STATE .*\n(.*waiting.*\n){3}$/,
    )
    expect(await flashq('jobs', '--queue', queue, '--state', 'failed')).toMatchObject({ code: 4 })
  })

  it('drains a queue', async () => {
    const queue = newQueue()
    await new Command(url(), ['push', queue, '--file', '-'], { input: '1\n2\n3\n' }).ended
    expect(await flashq('drain', queue)).toMatchObject({ code: 2 })
    expect((await flashq('drain', queue, '-y')).out).toBe(`3 jobs of ${queue} are gone\n`)
  })
})

describe('flashq', () => {
  const url = (): string => `flashq://127.0.0.1:${server.process.port}`

  it('tells of nodes and consumers by HTTP, and says so elsewhere', async () => {
    const http = `http://127.0.0.1:${server.process.httpPort}`
    const cluster = await new Command(http, ['cluster']).ended
    expect(cluster).toMatchObject({ code: 0, out: expect.stringContaining('leader') })
    const elsewhere = await new Command(url(), ['workers']).ended
    expect(elsewhere).toMatchObject({ code: 2, err: expect.stringContaining('http://') })
  })

  it('ends without a word when nobody reads any more', async () => {
    const tail = new Command(url(), ['help'])
    tail.child.stdout?.destroy()
    expect(await tail.ended).toMatchObject({ err: '' })
  })

  it('ends at SIGTERM', async () => {
    const tail = new Command(url(), ['tail'])
    await tail.says('Listening')
    tail.child.kill('SIGTERM')
    expect(await tail.ended).toMatchObject({ code: 0 })
  })

  it('shows top on a terminal, and gives the terminal back', async ({ skip }) => {
    if (process.platform !== 'linux') return skip('`script` takes other words on this system')
    const { error } = spawnSync('script', ['--version'])
    if (error !== undefined) return skip(`no \`script\` here to make a terminal: ${error.message}`)
    const command = `"${process.execPath}" "${CLI_MAIN}" top --interval 100ms`
    const env = { PATH: process.env['PATH'], FLASHQ_URL: url(), TERM: 'xterm' }
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let out = ''
    const shown = new Promise<void>((resolve, reject) => {
      child.on('error', reject)
      child.stdout.on('data', (text) => {
        out += text
        if (out.includes('q quit')) resolve()
      })
    })
    await within(COMMAND_MS_MAX, 'top shows itself', shown)
    const ended = new Promise((resolve) => child.on('close', resolve))
    child.stdin.write('q')
    expect(await within(COMMAND_MS_MAX, 'top ends', ended)).toBe(0)
    expect(out).toContain('\u001b[?1049h\u001b[?25l')
    expect(out.trimEnd().endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
  })
})
