import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { linesOf, type SourceLine } from '../../../../sdk/typescript/src/cli/line-source.ts'
import {
  type FilePush,
  PushStopped,
  pushLines,
} from '../../../../sdk/typescript/src/cli/push-file.ts'
import { BatchError, FlashQError } from '../../../../sdk/typescript/src/errors.ts'
import type { BatchJob } from '../../../../sdk/typescript/src/job.ts'
import { jobFieldsText } from '../../../../sdk/typescript/src/job-text.ts'
import type { FlashQ } from '../../../../sdk/typescript/src/node-flashq.ts'

async function texts(...chunks: (string | Buffer)[]): Promise<string[]> {
  const found: string[] = []
  for await (const { text } of linesOf(Readable.from(chunks))) found.push(text)
  return found
}

async function* lines(...all: string[]): AsyncGenerator<SourceLine> {
  for (const [place, text] of all.entries()) yield { number: place + 1, text, bytesRead: 0 }
}

/** A client of which only `pushBatch` is used. */
function pushes(
  pushBatch: (jobs: readonly BatchJob[]) => Promise<number[]>,
  more: object = {},
): FilePush {
  const client = { pushBatch: (_queue: string, jobs: readonly BatchJob[]) => pushBatch(jobs) }
  return {
    client: client as unknown as FlashQ,
    queue: 'q',
    options: {},
    wholeJobs: false,
    signal: new AbortController().signal,
    progress() {},
    ...more,
  }
}

const accept = async (jobs: readonly BatchJob[]): Promise<number[]> => jobs.map((_, id) => id)

describe('lines', () => {
  it('are whole, however they come, also the last one without its end', async () => {
    const bytes = Buffer.from('é\n\n漢字\nlast')
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(await texts(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual([
        'é',
        '',
        '漢字',
        'last',
      ])
    }
    expect(await texts()).toEqual([])
  })
})

describe('a file of jobs', () => {
  it('is pushed in batches of 1,000, its data byte for byte', async () => {
    const sizes: number[] = []
    const sent: string[] = []
    const push = pushes(async (jobs) => {
      sizes.push(jobs.length)
      sent.push(jobFieldsText(jobs[0]?.data, jobs[0]))
      return accept(jobs)
    })
    const all = Array.from({ length: 2500 }, () => '{"n":12345678901234567890}')
    expect(await pushLines(lines(...all, '', '  '), push)).toEqual({
      pushed: 2500,
      refused: [],
      unlisted: 0,
    })
    expect(sizes).toEqual([1000, 1000, 500])
    expect(sent[0]).toBe('"data":{"n":12345678901234567890}')
  })

  it('may hold whole jobs, with options over those of the command line', async () => {
    const sent: string[] = []
    const push = pushes(
      async (jobs) => {
        sent.push(...jobs.map((job) => jobFieldsText(job.data, job)))
        return accept(jobs)
      },
      { wholeJobs: true, options: { priority: 1, delay: 5 } },
    )
    const outcome = await pushLines(
      lines('{"data":[12345678901234567890],"priority":9}', '{"dta":1}', '5'),
      push,
    )
    expect(sent).toEqual(['"data":[12345678901234567890],"priority":9,"delay":5'])
    expect(outcome.refused.map(({ line }) => line)).toEqual([2, 3])
  })

  it('tells what was refused by its line, and pushes the others', async () => {
    const push = pushes(async (jobs) => {
      throw new BatchError(
        [1, null],
        [{ index: jobs.length - 1, code: 'duplicate_key', error: 'twice' }],
        false,
      )
    })
    expect(await pushLines(lines('1', '{', '', '2'), push)).toEqual({
      pushed: 1,
      refused: [
        { line: 2, code: 'invalid', error: expect.stringContaining('JSON') },
        { line: 4, code: 'duplicate_key', error: 'twice' },
      ],
      unlisted: 0,
    })
  })

  it('is read no further than four batches ahead of the server', async () => {
    let read = 0
    const answers: (() => void)[] = []
    const push = pushes(
      (jobs) => new Promise((resolve) => answers.push(() => resolve(jobs.map(() => 1)))),
    )
    async function* counted(): AsyncGenerator<SourceLine> {
      for (let number = 1; number <= 10_000; number += 1) {
        read = number
        yield { number, text: '1', bytesRead: number }
      }
    }
    const pushed = pushLines(counted(), push)
    while (answers.length < 4) await new Promise((resolve) => setImmediate(resolve))
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(answers).toHaveLength(4)
    expect(read).toBe(5000)
    const answer = setInterval(() => answers.shift()?.(), 0)
    expect((await pushed).pushed).toBe(10_000)
    clearInterval(answer)
  })

  it('ends when the server is gone, and says how far it came', async () => {
    let calls = 0
    const push = pushes(async (jobs) => {
      calls += 1
      if (calls > 1) throw new FlashQError('connection_lost', 'gone', { maybeExecuted: true })
      return accept(jobs)
    })
    const all = Array.from({ length: 1500 }, () => '1')
    const stopped = await pushLines(lines(...all), push).catch((error: unknown) => error)
    expect(stopped).toBeInstanceOf(PushStopped)
    expect(stopped).toMatchObject({ outcome: { pushed: 1000 }, cause: { code: 'connection_lost' } })
  })

  it('ends at Ctrl-C behind the batches that are under way', async () => {
    const abort = new AbortController()
    const push = pushes(
      async (jobs) => {
        abort.abort()
        return accept(jobs)
      },
      { signal: abort.signal },
    )
    const all = Array.from({ length: 50_000 }, () => '1')
    const { pushed } = await pushLines(lines(...all), push)
    expect(pushed % 1000).toBe(0)
    expect(pushed).toBeLessThan(10_000)
  })
})
